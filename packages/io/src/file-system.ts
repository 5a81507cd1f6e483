/**
 * The calls that files are used by, as one object, so that a test can give a file system that moves fewer bytes than
 * asked, fails, or has no hole punching.
 */

import fs from 'node:fs';
import { createRequire } from 'node:module';
import { BlobstoreError } from '@blobyard/core';

type NodeCalls = Pick<
  typeof fs,
  | 'closeSync'
  | 'fdatasync'
  | 'fdatasyncSync'
  | 'fstatSync'
  | 'fsyncSync'
  | 'ftruncateSync'
  | 'openSync'
  | 'read'
  | 'readFileSync'
  | 'readSync'
  | 'readv'
  | 'readvSync'
  | 'unlinkSync'
  | 'write'
  | 'writeSync'
  | 'writev'
  | 'writevSync'
>;

/** What the package fs-native-extensions adds to Node's `fs`; positions and lengths are in bytes. */
interface NativeCalls {
  /** Punches a hole: the bytes read as zeroes, and whole file system blocks go back to the medium. */
  trimSync(fd: number, position: number, lengthBytes: number): void;
  trim(fd: number, position: number, lengthBytes: number): Promise<void>;
  /** Allows holes in a file; Windows alone wants to be asked. */
  sparseSync(fd: number): void;
}

export type FileSystem = NodeCalls & NativeCalls;

/** Locks on open files, of the same package. They are on the open file, and go with it, however its process ends. */
export interface FileLocks {
  /** Takes the lock, or answers false if another open file has it. `shared` locks exclude only exclusive ones. */
  tryLock(fd: number, options?: { shared?: boolean }): boolean;
  unlock(fd: number): void;
}

/** The native calls, or why they did not load: fs-native-extensions is prebuilt for many platforms, but not for all. */
let loaded: { readonly calls: NativeCalls & FileLocks } | { readonly failure: BlobstoreError } | undefined;

function load(): NonNullable<typeof loaded> {
  try {
    return { calls: createRequire(import.meta.url)('fs-native-extensions') };
  } catch (cause) {
    const platform = `${process.platform}-${process.arch}`;
    const message = `file locks and hole punching are missing: fs-native-extensions did not load on ${platform}`;
    return { failure: new BlobstoreError('ENOTSUP', message, { cause }) };
  }
}

/** The native calls. Throws ENOTSUP where they are missing, which for hole punching means that zeroes are written. */
function native(): NativeCalls & FileLocks {
  const result = binding();
  if ('failure' in result) throw result.failure;
  return result.calls;
}

function binding(): NonNullable<typeof loaded> {
  loaded ??= load();
  return loaded;
}

/** The calls of this machine. */
export const nodeFileSystem: FileSystem = {
  ...fs,
  trimSync: (fd, position, lengthBytes) => native().trimSync(fd, position, lengthBytes),
  trim: async (fd, position, lengthBytes) => native().trim(fd, position, lengthBytes),
  sparseSync: (fd) => {
    // Without it the file takes all its room at once, and works.
    if (process.platform === 'win32' && 'calls' in binding()) native().sparseSync(fd);
  },
};

/** The locks of this machine. Each call throws ENOTSUP where they are missing. */
export const fileLocks: FileLocks = {
  tryLock: (fd, options) => native().tryLock(fd, options),
  unlock: (fd) => native().unlock(fd),
};
