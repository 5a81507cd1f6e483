/** The traces' operations on the data of a blob, on anything that moves data as a channel does. */

import { createHash } from 'node:crypto';
import { type BlobRef, BlobstoreError, type Channel, type MaybePromise } from '@blobyard/core';
import { byteStream } from './byte-stream.js';
import type { Answer, TraceOperation } from './trace.js';

export const DATA_OPERATIONS = ['read', 'readv', 'write', 'writev', 'write_zeroes', 'unmap'] as const;

/** What to do; plain, so that it can be posted to a thread. Offset and length are io units. */
export interface DataOperation {
  readonly op: (typeof DATA_OPERATIONS)[number];
  readonly offset: number;
  readonly length: number;
  readonly seed: number;
  readonly iov: readonly number[];
}

/** The part of a `Channel` that is needed here. */
export interface DataPort {
  read(blob: BlobRef, buffer: Uint8Array, offset: number, count: number): MaybePromise<void>;
  readv(blob: BlobRef, buffers: readonly Uint8Array[], offset: number, count: number): MaybePromise<void>;
  write(blob: BlobRef, buffer: Uint8Array, offset: number, count: number): MaybePromise<void>;
  writev(blob: BlobRef, buffers: readonly Uint8Array[], offset: number, count: number): MaybePromise<void>;
  writeZeroes(blob: BlobRef, offset: number, count: number): MaybePromise<void>;
  unmap(blob: BlobRef, offset: number, count: number): MaybePromise<void>;
}

/** A channel in its synchronous form. */
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

/** Executes an operation; answers what the trace's reference does beside `rc`. With a synchronous port it ends in this same call. */
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

/** A buffer that does not look as if it had been read already. */
function garbage(bytes: number): Uint8Array {
  return new Uint8Array(bytes).fill(0xa5);
}

function cut(bytes: Uint8Array, lengths: readonly number[]): Uint8Array[] {
  let at = 0;
  const parts = lengths.map((length) => {
    at += length;
    return bytes.subarray(at - length, at);
  });
  if (at !== bytes.length) throw new BlobstoreError('EINVAL', `a scatter list of ${at} bytes for ${bytes.length}`);
  return parts;
}
