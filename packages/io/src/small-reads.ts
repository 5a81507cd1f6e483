/**
 * Small reads by a direct call of the C library's `pread`, through the package koffi. It takes less time than
 * `fs.readSync`, which makes the same system call. koffi is optional: where it does not load, `fs.readSync` reads.
 *
 * Loading koffi takes about 8 ms and 3 MB in each thread. At 0.2 to 0.3 µs saved by a read, that pays only in a thread that
 * reads much. So a thread loads koffi once it has made many small reads, and opening a store does not pay for it.
 */

import fs from 'node:fs';
import { loadCLibrary } from './c-library.js';

/** Reads at a position in bytes, and returns how many bytes it read; 0 at the end of the file. Throws Node's errors. */
export type ReadSync = (fd: number, buffer: Uint8Array, offset: number, length: number, position: number) => number;

/** `pread`: reads into the start of the buffer. Returns the count of bytes, or -1 when the system call failed. */
export type Pread = (fd: number, buffer: Uint8Array, length: number, position: number) => number;

/** From this length on the direct call saves nothing: copying the bytes takes most of the time. */
export const SMALL_READ_BYTES_MAX = 16 * 1024;

/** A thread loads koffi at this small read. By then the reads have taken some 30 ms, so that 8 ms more are not much. */
const READS_BEFORE_LOADING = 16 * 1024;

/** Returns the C library's `pread`, or undefined if it cannot be called. */
export function loadPread(): Pread | undefined {
  return loadCLibrary()?.func('int64_t pread(int fd, void *buffer, size_t length, int64_t position)') as
    | Pread
    | undefined;
}

/**
 * Reads with `fs.readSync`, and after some small reads with what `load` returns. `load` is called at most once.
 *
 * `pread` gets an address and checks nothing, so the bounds are checked here; what does not fit goes to `fs.readSync`,
 * which throws. A private buffer cannot be detached or resized meanwhile, because its thread is in the call. Shared memory
 * can only grow.
 */
export function smallReadsBy(load: () => Pread | undefined, readsBeforeLoading = READS_BEFORE_LOADING): ReadSync {
  let pread: Pread | undefined;
  let reads = 0;
  return (fd, buffer, offset, length, position) => {
    if (length > SMALL_READ_BYTES_MAX) return fs.readSync(fd, buffer, offset, length, position);
    if (pread === undefined) {
      if (++reads === readsBeforeLoading) pread = load();
      return fs.readSync(fd, buffer, offset, length, position);
    }
    const target = offset === 0 ? buffer : buffer.subarray(offset, offset + length);
    const moved = target.byteLength < length ? -1 : pread(fd, target, length, position);
    // A failed read moved nothing. Reading again throws the error as Node reports it.
    return moved < 0 ? fs.readSync(fd, buffer, offset, length, position) : moved;
  };
}
