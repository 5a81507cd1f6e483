/**
 * Reads of a file through a mapping of it into memory (mmap): the bytes are copied out of the page cache without a
 * system call. Writes do not use it; on Linux a mapping shows at once what system calls write.
 *
 * A thread maps the parts of the file that it reads, in windows, because V8 limits the length of an array. Each thread has
 * mappings of its own, so none can see a part that another one has unmapped. If a thread ends without closing its
 * device, its windows stay mapped until the process ends: they take addresses, not memory.
 *
 * A page of a mapping that cannot be read ends the process (SIGBUS): if the file was truncated, or the medium fails. So
 * this is a choice of the user.
 */

import { BlobstoreError } from '@blobyard/core';
import { loadCLibrary } from './c-library.js';
import { copyBytesAnywhere } from './copy-bytes.js';
import type { OpenFile } from './open-file.js';

/**
 * Bytes of a window, a multiple of any page size. V8 counts them as memory in use; much larger windows disturb its
 * garbage collector.
 */
const WINDOW_BYTES = 256 * 1024 * 1024;

/** Constants of Linux. */
const PROT_READ = 1;
const MAP_SHARED = 1;
const MAP_FAILED = 0xffff_ffff_ffff_ffffn;

/** The system calls that map files. */
export interface Mmap {
  /** Maps a part of a file for reading. Undefined when the system refuses. */
  map(fd: number, position: number, lengthBytes: number): Mapping | undefined;
}

export interface Mapping {
  readonly bytes: Uint8Array;
  /** Removes the mapping. `bytes` must not be used afterwards. */
  unmap(): void;
}

/** Returns the system calls, or undefined if they cannot be called. */
export function loadMmap(): Mmap | undefined {
  const library = loadCLibrary();
  if (library === undefined) return undefined;
  const mmap = library.func(
    'void *mmap(void *address, size_t length, int protection, int flags, int fd, int64_t offset)',
  ) as (address: null, length: number, protection: number, flags: number, fd: number, offset: number) => bigint;
  const munmap = library.func('int munmap(void *address, size_t length)') as (
    address: bigint,
    length: number,
  ) => number;
  return {
    map(fd, position, lengthBytes) {
      const address = mmap(null, lengthBytes, PROT_READ, MAP_SHARED, fd, position);
      if (address === MAP_FAILED) return undefined;
      const bytes = new Uint8Array(library.view(address, lengthBytes));
      return { bytes, unmap: () => void munmap(address, lengthBytes) };
    },
  };
}

/** The mapping of an open file, as one thread has it. */
export class MappedFile {
  readonly #file: OpenFile;
  readonly #mmap: Mmap;
  /** By their number in the file. Null: the system refused to map it, so it is read by system calls. */
  readonly #windows: (Mapping | null | undefined)[] = [];

  /**
   * @param mmap - from `loadMmap`
   * @throws ENOTSUP where files cannot be mapped, or not this one
   */
  constructor(file: OpenFile, mmap: Mmap | undefined) {
    this.#file = file;
    const advice = 'open it without mmap';
    if (mmap === undefined) {
      const needs = 'mmap: true needs 64-bit Linux, and the optional package koffi';
      throw new BlobstoreError('ENOTSUP', `${needs}, which does not load here: ${advice}`);
    }
    this.#mmap = mmap;
    if (this.#window(0) === null) {
      throw new BlobstoreError('ENOTSUP', `the system cannot map ${file.path}: ${advice}`);
    }
  }

  /**
   * Reads from within the file. The caller has checked the range and the buffer.
   * @returns the count of bytes from the start on that were read; the rest must be read by a system call
   */
  read(buffer: Uint8Array, offset: number, length: number, position: number): number {
    const number = Math.floor(position / WINDOW_BYTES);
    const within = position - number * WINDOW_BYTES;
    if (within + length > WINDOW_BYTES) return this.#readMany(buffer, offset, length, position);
    const window = this.#window(number);
    if (window === null) return 0;
    copyBytesAnywhere(window.bytes, within, buffer, offset, length);
    return length;
  }

  /** Removes the mapping. Nothing may be read afterwards. */
  unmap(): void {
    for (const window of this.#windows) window?.unmap();
    this.#windows.length = 0;
  }

  #readMany(buffer: Uint8Array, offset: number, length: number, position: number): number {
    for (let done = 0; done < length; ) {
      const part = Math.min(length - done, WINDOW_BYTES - ((position + done) % WINDOW_BYTES));
      if (this.read(buffer, offset + done, part, position + done) === 0) return done;
      done += part;
    }
    return length;
  }

  #window(number: number): Mapping | null {
    const known = this.#windows[number];
    if (known !== undefined) return known;
    const made = this.#mmap.map(this.#file.fd, number * WINDOW_BYTES, WINDOW_BYTES) ?? null;
    this.#windows[number] = made;
    return made;
  }
}
