/**
 * Transfers between buffers and an open file. The calling thread waits; a transfer moves all its bytes or throws. A
 * system call may move fewer bytes than asked, or be interrupted (EINTR, EAGAIN); it is then repeated for the rest. The
 * system gets the caller's buffer as it is, except for direct I/O with an unaligned buffer: its bytes are copied
 * through a bounce buffer, here called a detour.
 *
 * Lengths and positions are in bytes, checked by the caller. `async-file-transfer.ts` has the same with promises.
 */

import { allocateAligned, areAligned, DIRECT_ALIGNMENT_BYTES, isAligned } from './aligned-buffer.js';
import { codeOf, isUnsupported, mayRetry, stuckWriteError, transferError, truncatedError } from './file-errors.js';
import type { OpenFile } from './open-file.js';
import { afterBytes, gather, scatter } from './scatter-list.js';

/** The most bytes of one system call; the limit of Node and Linux is just below 2 GiB. */
export const CALL_BYTES_MAX = 1024 * 1024 * 1024;

/** The most buffers of one system call: Linux's limit. */
export const CALL_BUFFERS_MAX = 1024;

/** Length of the bounce buffers and of the buffer of zeroes, in bytes. */
export const DETOUR_BYTES = 1024 * 1024;

/** This thread's bounce buffer. One is enough: a synchronous transfer ends before the next begins. */
let detour: Uint8Array | undefined;
let zeroes: Uint8Array | undefined;

/** This thread's buffer of zeroes, `DETOUR_BYTES` long. Read only. */
export function zeroBuffer(): Uint8Array {
  zeroes ??= allocateAligned(DETOUR_BYTES);
  return zeroes;
}

export function readAt(file: OpenFile, buffer: Uint8Array, offset: number, length: number, position: number): void {
  if (!file.direct || isAligned(buffer, offset)) readAll(file, buffer, offset, length, position);
  else readvByDetour(file, [buffer.subarray(offset, offset + length)], length, position);
}

export function writeAt(file: OpenFile, buffer: Uint8Array, offset: number, length: number, position: number): void {
  if (!file.direct || isAligned(buffer, offset)) writeAll(file, buffer, offset, length, position);
  else writevByDetour(file, [buffer.subarray(offset, offset + length)], length, position);
}

export function readvAt(file: OpenFile, buffers: readonly Uint8Array[], length: number, position: number): void {
  if (file.direct && !areAligned(buffers)) {
    readvByDetour(file, buffers, length, position);
    return;
  }
  for (let done = 0; done < length; ) {
    const rest = restOfList(buffers, done);
    const moved = once(file, 'readv', position, () => file.fs.readvSync(file.fd, rest, position + done));
    if (isEndOfFile(file, moved, length - done)) throw endOfFile(file, position, length, done);
    done += moved;
  }
}

export function writevAt(file: OpenFile, buffers: readonly Uint8Array[], length: number, position: number): void {
  if (file.direct && !areAligned(buffers)) {
    writevByDetour(file, buffers, length, position);
    return;
  }
  for (let done = 0; done < length; ) {
    const rest = restOfList(buffers, done);
    const moved = once(file, 'writev', position, () => file.fs.writevSync(file.fd, rest, position + done));
    if (moved === 0) throw stuckWriteError(file.path, position, length);
    done += moved;
  }
}

/** Makes the range read as zeroes: punches a hole where the file system supports it, writes zeroes elsewhere. */
export function zeroAt(file: OpenFile, length: number, position: number): void {
  if (length === 0) return;
  if (file.punchesHoles && punchHole(file, length, position)) return;
  for (let done = 0; done < length; ) {
    const part = Math.min(length - done, DETOUR_BYTES);
    writeAll(file, zeroBuffer(), 0, part, position + done);
    done += part;
  }
}

/**
 * Makes everything that was written durable. After one failed flush, every later flush fails (see `checkFlushable`).
 * Throws EIO while the file is shorter than the device.
 */
export function flushFile(file: OpenFile): void {
  file.checkFlushable();
  file.requireLength('flush', Number.POSITIVE_INFINITY);
  try {
    once(file, 'flush', undefined, () => file.fs.fdatasyncSync(file.fd));
  } catch (cause) {
    throw file.rememberFlushFailure(cause);
  }
}

/** The error for a read that reached the end of the file. From now on, writes check the length of the file. */
export function endOfFile(file: OpenFile, position: number, length: number, done: number): Error {
  file.noteCut();
  return truncatedError(file.path, position, length, done);
}

/**
 * Whether a read that moved `moved` of `asked` bytes reached the end of the file. A direct read moves a part of a
 * sector only there.
 */
export function isEndOfFile(file: OpenFile, moved: number, asked: number): boolean {
  return moved === 0 || (file.direct && moved < asked && moved % DIRECT_ALIGNMENT_BYTES !== 0);
}

/**
 * What to do when a hole could not be punched: try 'again', 'write' zeroes for this range, write zeroes from now on and
 * 'never' punch again, or 'fail'. EINVAL concerns this range only: some systems punch only whole blocks.
 */
function afterFailedPunch(cause: unknown, attempt: number): 'again' | 'write' | 'never' | 'fail' {
  if (mayRetry(cause, attempt)) return 'again';
  if (isUnsupported(cause)) return 'never';
  return codeOf(cause) === 'EINVAL' ? 'write' : 'fail';
}

/** The list without its first `doneBytes` bytes, limited to the buffers of one system call. */
export function restOfList(buffers: readonly Uint8Array[], doneBytes: number): readonly Uint8Array[] {
  const rest = doneBytes === 0 ? buffers : afterBytes(buffers, doneBytes);
  return rest.length <= CALL_BUFFERS_MAX ? rest : rest.slice(0, CALL_BUFFERS_MAX);
}

function readAll(file: OpenFile, buffer: Uint8Array, offset: number, length: number, position: number): void {
  for (let done = 0, attempt = 1; done < length; attempt++) {
    const asked = Math.min(length - done, CALL_BYTES_MAX);
    try {
      const moved = file.fs.readSync(file.fd, buffer, offset + done, asked, position + done);
      if (isEndOfFile(file, moved, asked)) throw endOfFile(file, position, length, done + moved);
      done += moved;
      attempt = 0;
    } catch (cause) {
      if (!mayRetry(cause, attempt)) throw transferError(cause, describe(file, 'read', position));
    }
  }
}

function writeAll(file: OpenFile, buffer: Uint8Array, offset: number, length: number, position: number): void {
  for (let done = 0, attempt = 1; done < length; attempt++) {
    const asked = Math.min(length - done, CALL_BYTES_MAX);
    try {
      const moved = file.fs.writeSync(file.fd, buffer, offset + done, asked, position + done);
      if (moved === 0) throw stuckWriteError(file.path, position, length);
      done += moved;
      attempt = 0;
    } catch (cause) {
      if (!mayRetry(cause, attempt)) throw transferError(cause, describe(file, 'write', position));
    }
  }
}

/** Makes one system call, and repeats it while it fails with EINTR or EAGAIN. */
function once<T>(file: OpenFile, operation: string, position: number | undefined, call: () => T): T {
  for (let attempt = 1; ; attempt++) {
    try {
      return call();
    } catch (cause) {
      if (!mayRetry(cause, attempt)) throw transferError(cause, describe(file, operation, position));
    }
  }
}

/**
 * True when punching a hole may be tried again after it has failed, false when zeroes must be written instead. Notes when the file
 * system punches no holes. Throws what the system reports otherwise.
 */
export function mayPunchAgain(file: OpenFile, position: number, cause: unknown, attempt: number): boolean {
  const next = afterFailedPunch(cause, attempt);
  if (next === 'fail') throw transferError(cause, describe(file, 'hole', position));
  if (next === 'never') file.punchesHoles = false;
  return next === 'again';
}

/** Returns false when zeroes must be written instead. */
function punchHole(file: OpenFile, length: number, position: number): boolean {
  for (let attempt = 1; ; attempt++) {
    try {
      file.fs.trimSync(file.fd, position, length);
      return true;
    } catch (cause) {
      if (!mayPunchAgain(file, position, cause, attempt)) return false;
    }
  }
}

function readvByDetour(file: OpenFile, buffers: readonly Uint8Array[], length: number, position: number): void {
  detour ??= allocateAligned(DETOUR_BYTES);
  for (let done = 0; done < length; ) {
    const part = Math.min(length - done, DETOUR_BYTES);
    readAll(file, detour, 0, part, position + done);
    scatter(detour, part, buffers, done);
    done += part;
  }
}

function writevByDetour(file: OpenFile, buffers: readonly Uint8Array[], length: number, position: number): void {
  detour ??= allocateAligned(DETOUR_BYTES);
  for (let done = 0; done < length; ) {
    const part = Math.min(length - done, DETOUR_BYTES);
    gather(buffers, done, detour, part);
    writeAll(file, detour, 0, part, position + done);
    done += part;
  }
}

/** The start of an error message: what was done where. */
export function describe(file: OpenFile, operation: string, position?: number): string {
  return position === undefined ? `${operation} of ${file.path}` : `${operation} at byte ${position} of ${file.path}`;
}
