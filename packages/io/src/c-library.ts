/**
 * Functions of the C library, called through the optional package koffi. Only Linux with 64-bit pointers is supported;
 * there `off_t` has 64 bits in glibc and in musl.
 */

import { getSystemErrorMap } from 'node:util';
import { loadOptionalPackage } from './optional-package.js';

const ARCHITECTURES = ['arm64', 'riscv64', 'x64'];

export interface CLibrary {
  /** Returns a function by its prototype in C. Throws if there is none. */
  func(prototype: string): unknown;
  /** Returns memory as an ArrayBuffer, without copying it. */
  view(address: bigint, lengthBytes: number): ArrayBuffer;
  /** Returns the error of the last call of this thread, as Node's `fs` would throw it. Call it right after that call. */
  lastError(call: string): NodeJS.ErrnoException;
}

interface Koffi {
  load(library: null): { func(prototype: string): unknown };
  view(address: bigint, lengthBytes: number): ArrayBuffer;
  errno(): number;
}

/** Throws on other systems, and what `require` throws if koffi does not load. */
export function requireCLibrary(): CLibrary {
  if (process.platform !== 'linux' || !ARCHITECTURES.includes(process.arch)) {
    throw new Error(`calling the C library is not supported on ${process.platform}-${process.arch}`);
  }
  const koffi = loadOptionalPackage('koffi') as Koffi;
  const library = koffi.load(null);
  return {
    func: (prototype) => library.func(prototype),
    view: (address, lengthBytes) => koffi.view(address, lengthBytes),
    lastError(syscall) {
      const errno = -koffi.errno();
      const [code, message] = getSystemErrorMap().get(errno) ?? ['UNKNOWN', `unknown error ${errno}`];
      return Object.assign(new Error(`${code}: ${message}, ${syscall}`), { code, errno, syscall });
    },
  };
}

/** Same as `requireCLibrary`. Returns undefined where it throws. */
export function loadCLibrary(): CLibrary | undefined {
  try {
    return requireCLibrary();
  } catch {
    return undefined;
  }
}
