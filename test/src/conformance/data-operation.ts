/** The traces' operations on the data of a blob. They run on any object with the data methods of a channel. */

import { createHash } from 'node:crypto';
import { type BlobRef, BlobstoreError, type Channel, type MaybePromise } from '@blobyard/core';
import { byteStream } from './byte-stream.js';
import type { Answer, TraceOperation } from './trace.js';

export const DATA_OPERATIONS = ['read', 'readv', 'write', 'writev', 'write_zeroes', 'unmap'] as const;

/** An operation on data, as an object that can be posted to a thread. Offset and length are in io units. */
export interface DataOperation {
  readonly op: (typeof DATA_OPERATIONS)[number];
  readonly offset: number;
  readonly length: number;
  readonly seed: number;
  readonly iov: readonly number[];
}

/** The methods of a `Channel` that the operations use. */
export interface DataPort {
  read(blob: BlobRef, buffer: Uint8Array, offset: number, count: number): MaybePromise<void>;
  readv(blob: BlobRef, buffers: readonly Uint8Array[], offset: number, count: number): MaybePromise<void>;
  write(blob: BlobRef, buffer: Uint8Array, offset: number, count: number): MaybePromise<void>;
  writev(blob: BlobRef, buffers: readonly Uint8Array[], offset: number, count: number): MaybePromise<void>;
  writeZeroes(blob: BlobRef, offset: number, count: number): MaybePromise<void>;
  unmap(blob: BlobRef, offset: number, count: number): MaybePromise<void>;
}

/** The synchronous methods of a channel. */
export function synchronous(channel: Channel): DataPort {
  return {
    read: (blob, buffer, offset, count) => channel.readSync(blob, buffer, offset, count),
    readv: (blob, buffers, offset, count) => channel.readvSync(blob, buffers, offset, count),
    write: (blob, buffer, offset, count) => channel.writeSync(blob, buffer, offset, count),
    writev: (blob, buffers, offset, count) => channel.writevSync(blob, buffers, offset, count),
    writeZeroes: (blob, offset, count) => channel.writeZeroesSync(blob, offset, count),
    unmap: (blob, offset, count) => channel.unmapSync(blob, offset, count),
  };
}

/** The data operation that a line of a trace asks for. */
export function dataOperationOf({ op, offset = 0, length = 0, seed = 0, iov = [] }: TraceOperation): DataOperation {
  return { op: op as DataOperation['op'], offset, length, seed, iov };
}

/**
 * Executes an operation. Returns the answer without `rc`. With a synchronous port, the work is done when it returns.
 */
export async function perform(
  port: DataPort,
  blob: BlobRef,
  ioUnitBytes: number,
  { op, offset, length, seed, iov }: DataOperation,
): Promise<Partial<Answer>> {
  const bytes = length * ioUnitBytes;
  switch (op) {
    case 'read':
    case 'readv': {
      const buffer = garbage(bytes);
      if (op === 'read') await port.read(blob, buffer, offset, length);
      else await port.readv(blob, cut(buffer, iov), offset, length);
      return { sha256: createHash('sha256').update(buffer).digest('hex') };
    }
    case 'write':
      await port.write(blob, byteStream(seed, bytes), offset, length);
      return {};
    case 'writev':
      await port.writev(blob, cut(byteStream(seed, bytes), iov), offset, length);
      return {};
    case 'write_zeroes':
      await port.writeZeroes(blob, offset, length);
      return {};
    case 'unmap':
      await port.unmap(blob, offset, length);
      return {};
  }
}

/** A buffer with contents that no read returns by chance. */
function garbage(bytes: number): Uint8Array {
  return new Uint8Array(bytes).fill(0xa5);
}

function cut(bytes: Uint8Array, lengths: readonly number[]): Uint8Array[] {
  let at = 0;
  const parts = lengths.map((length) => {
    at += length;
    return bytes.subarray(at - length, at);
  });
  if (at !== bytes.length)
    throw new BlobstoreError('EINVAL', `the scatter list has ${at} bytes, but the operation ${bytes.length}`);
  return parts;
}
