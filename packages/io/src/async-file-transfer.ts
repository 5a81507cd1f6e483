/**
 * The transfers of `file-transfer.ts` as promises: Node's thread pool makes the system calls, and the calling thread
 * goes on. They use the callback functions of `fs`, because those of `fs.promises` cost five times as much.
 */

import { allocateAligned, areAligned, isAligned } from './aligned-buffer.js';
import { mayRetry, stuckWriteError, transferError } from './file-errors.js';
import {
  CALL_BYTES_MAX,
  DETOUR_BYTES,
  describe,
  endOfFile,
  isEndOfFile,
  mayPunchAgain,
  restOfList,
  zeroBuffer,
} from './file-transfer.js';
import type { OpenFile } from './open-file.js';
import { gather, scatter } from './scatter-list.js';

/** Bounce buffers that are kept for later transfers. More are allocated while more transfers need one. */
const DETOURS_KEPT_MAX = 8;

const freeDetours: Uint8Array[] = [];

/**
 * Reads `length` bytes from byte `position` of the file into `buffer`, from its byte `offset` on. Rejects with EIO when
 * the file ends before that, and with the errors of the system.
 */
export async function readAtAsync(
  file: OpenFile,
  buffer: Uint8Array,
  offset: number,
  length: number,
  position: number,
): Promise<void> {
  if (!file.direct || isAligned(buffer, offset)) return readAll(file, buffer, offset, length, position);
  return readvByDetour(file, [buffer.subarray(offset, offset + length)], length, position);
}

/** Writes `length` bytes to byte `position` of the file from `buffer`, from its byte `offset` on. */
export async function writeAtAsync(
  file: OpenFile,
  buffer: Uint8Array,
  offset: number,
  length: number,
  position: number,
): Promise<void> {
  if (!file.direct || isAligned(buffer, offset)) return writeAll(file, buffer, offset, length, position);
  return writevByDetour(file, [buffer.subarray(offset, offset + length)], length, position);
}

/** As `readAtAsync`, into a list of buffers of `length` bytes together. */
export async function readvAtAsync(
  file: OpenFile,
  buffers: readonly Uint8Array[],
  length: number,
  position: number,
): Promise<void> {
  if (file.direct && !areAligned(buffers)) return readvByDetour(file, buffers, length, position);
  for (let done = 0; done < length; ) {
    const rest = restOfList(buffers, done);
    const moved = await once(file, 'readv', position, (settle) =>
      file.fs.readv(file.fd, rest, position + done, settle),
    );
    if (isEndOfFile(file, moved, length - done)) throw endOfFile(file, position, length, done);
    done += moved;
  }
}

/** As `writeAtAsync`, from a list of buffers of `length` bytes together. */
export async function writevAtAsync(
  file: OpenFile,
  buffers: readonly Uint8Array[],
  length: number,
  position: number,
): Promise<void> {
  if (file.direct && !areAligned(buffers)) return writevByDetour(file, buffers, length, position);
  for (let done = 0; done < length; ) {
    const rest = restOfList(buffers, done);
    const moved = await once(file, 'writev', position, (settle) =>
      file.fs.writev(file.fd, rest, position + done, settle),
    );
    if (moved === 0) throw stuckWriteError(file.path, position, length);
    done += moved;
  }
}

/** Makes a range of bytes read as zeroes: punches a hole where the file system supports it, else writes zeroes. */
export async function zeroAtAsync(file: OpenFile, length: number, position: number): Promise<void> {
  if (length === 0) return;
  if (file.punchesHoles && (await punchHole(file, length, position))) return;
  for (let done = 0; done < length; ) {
    const part = Math.min(length - done, DETOUR_BYTES);
    await writeAll(file, zeroBuffer(), 0, part, position + done);
    done += part;
  }
}

/** As `flushFile`, with a promise. */
export async function flushFileAsync(file: OpenFile): Promise<void> {
  file.checkFlushable();
  file.requireLength('flush', Number.POSITIVE_INFINITY);
  try {
    await once<void>(file, 'flush', undefined, (settle) => file.fs.fdatasync(file.fd, settle));
  } catch (cause) {
    throw file.rememberFlushFailure(cause);
  }
}

async function readAll(file: OpenFile, buffer: Uint8Array, offset: number, length: number, position: number) {
  for (let done = 0; done < length; ) {
    const asked = Math.min(length - done, CALL_BYTES_MAX);
    const moved = await once(file, 'read', position, (settle) =>
      file.fs.read(file.fd, buffer, offset + done, asked, position + done, settle),
    );
    if (isEndOfFile(file, moved, asked)) throw endOfFile(file, position, length, done + moved);
    done += moved;
  }
}

async function writeAll(file: OpenFile, buffer: Uint8Array, offset: number, length: number, position: number) {
  for (let done = 0; done < length; ) {
    const asked = Math.min(length - done, CALL_BYTES_MAX);
    const moved = await once(file, 'write', position, (settle) =>
      file.fs.write(file.fd, buffer, offset + done, asked, position + done, settle),
    );
    if (moved === 0) throw stuckWriteError(file.path, position, length);
    done += moved;
  }
}

/** The callback of an `fs` function. */
type Settle<T> = (error: Error | null, result: T) => void;

/** Makes one system call, and repeats it while it fails with EINTR or EAGAIN. */
function once<T = number>(
  file: OpenFile,
  operation: string,
  position: number | undefined,
  call: (settle: Settle<T>) => void,
): Promise<T> {
  return new Promise((resolve, reject) => {
    let attempt = 1;
    const settle: Settle<T> = (error, result) => {
      if (!error) resolve(result);
      else if (mayRetry(error, attempt)) again();
      else reject(transferError(error, describe(file, operation, position)));
    };
    const again = () => {
      attempt++;
      call(settle);
    };
    call(settle);
  });
}

/** Punches a hole in a range of bytes. Returns false when zeroes must be written instead. */
async function punchHole(file: OpenFile, length: number, position: number): Promise<boolean> {
  for (let attempt = 1; ; attempt++) {
    try {
      await file.fs.trim(file.fd, position, length);
      return true;
    } catch (cause) {
      if (!mayPunchAgain(file, position, cause, attempt)) return false;
    }
  }
}

async function readvByDetour(file: OpenFile, buffers: readonly Uint8Array[], length: number, position: number) {
  const detour = freeDetours.pop() ?? allocateAligned(DETOUR_BYTES);
  try {
    for (let done = 0; done < length; ) {
      const part = Math.min(length - done, DETOUR_BYTES);
      await readAll(file, detour, 0, part, position + done);
      scatter(detour, part, buffers, done);
      done += part;
    }
  } finally {
    if (freeDetours.length < DETOURS_KEPT_MAX) freeDetours.push(detour);
  }
}

async function writevByDetour(file: OpenFile, buffers: readonly Uint8Array[], length: number, position: number) {
  const detour = freeDetours.pop() ?? allocateAligned(DETOUR_BYTES);
  try {
    for (let done = 0; done < length; ) {
      const part = Math.min(length - done, DETOUR_BYTES);
      gather(buffers, done, detour, part);
      await writeAll(file, detour, 0, part, position + done);
      done += part;
    }
  } finally {
    if (freeDetours.length < DETOURS_KEPT_MAX) freeDetours.push(detour);
  }
}
