/**
 * The calls that are made on a device with errors that are not a `BlobstoreError`, and how these must reach the user.
 */

import { pipeline } from 'node:stream/promises';
import type { Blob } from 'blobyard';
import type { BlobRef, Channel } from 'blobyard/engine';

/** Calls by their names. Each must fail. */
export type Calls = Readonly<Record<string, () => unknown>>;

/** The text of an error of `RawDevice` as it must reach a user. */
export const WRAPPED = 'BlobstoreError EIO of TypeError EREMOTEIO "raw"';

type Bytes = Pick<
  Blob,
  'read' | 'readv' | 'write' | 'writev' | 'writeZeroes' | 'trim' | 'flush' | 'createReadStream' | 'createWriteStream'
>;
type BytesSync = Pick<Blob, 'readSync' | 'readvSync' | 'writeSync' | 'writevSync' | 'writeZeroesSync' | 'trimSync'>;

const UNIT = 4096;
/** The cluster size of the store, in bytes. Of the blob, only the first cluster is allocated. */
export const CLUSTER = 4 * UNIT;

export function promiseCalls(blob: Bytes): Calls {
  const unit = new Uint8Array(UNIT);
  const part = new Uint8Array(10);
  return {
    read: () => blob.read(0, UNIT),
    'read into': () => blob.read(0, unit),
    'read of a part': () => blob.read(5, 10),
    readv: () => blob.readv(0, [unit, unit]),
    write: () => blob.write(unit, 0),
    'write of a part': () => blob.write(part, 5),
    'first write': () => blob.write(unit, CLUSTER),
    writev: () => blob.writev([unit, unit], 0),
    writeZeroes: () => blob.writeZeroes(0, UNIT),
    trim: () => blob.trim(0, UNIT),
    'trim of a part': () => blob.trim(5, UNIT),
    'a stream that reads': () => drain(blob),
    'a stream that writes': () => pipeline([unit], blob.createWriteStream({ start: 0 })),
    flush: () => blob.flush(),
  };
}

export function syncCalls(blob: BytesSync): Calls {
  const unit = new Uint8Array(UNIT);
  return {
    readSync: () => blob.readSync(0, UNIT),
    'readSync into': () => blob.readSync(0, unit),
    'readSync of a part': () => blob.readSync(5, 10),
    readvSync: () => blob.readvSync(0, [unit, unit]),
    writeSync: () => blob.writeSync(unit, 0),
    'writeSync of a part': () => blob.writeSync(new Uint8Array(10), 5),
    'first writeSync': () => blob.writeSync(unit, CLUSTER),
    writevSync: () => blob.writevSync([unit, unit], 0),
    writeZeroesSync: () => blob.writeZeroesSync(0, UNIT),
    trimSync: () => blob.trimSync(0, UNIT),
  };
}

/** The calls of the engine's own channel. */
export function channelCalls(channel: Channel, blob: BlobRef, hasSync: boolean): Calls {
  const unit = new Uint8Array(UNIT);
  const calls: Calls = {
    'channel.read': () => channel.read(blob, unit, 0, 1),
    'channel.readv': () => channel.readv(blob, [unit], 0, 1),
    'channel.write': () => channel.write(blob, unit, 0, 1),
    'channel.writev': () => channel.writev(blob, [unit], 0, 1),
    'channel.writeZeroes': () => channel.writeZeroes(blob, 0, 1),
    'channel.unmap': () => channel.unmap(blob, 0, 1),
  };
  if (!hasSync) return calls;
  return {
    ...calls,
    'channel.tryReadNow': () => channel.tryReadNow(blob, unit, 0, 1),
    'channel.tryWriteNow': () => channel.tryWriteNow(blob, unit, 0, 1),
    'channel.readSync': () => channel.readSync(blob, unit, 0, 1),
    'channel.readvSync': () => channel.readvSync(blob, [unit], 0, 1),
    'channel.writeSync': () => channel.writeSync(blob, unit, 0, 1),
    'channel.writevSync': () => channel.writevSync(blob, [unit], 0, 1),
    'channel.writeZeroesSync': () => channel.writeZeroesSync(blob, 0, 1),
    'channel.unmapSync': () => channel.unmapSync(blob, 0, 1),
  };
}

/** Makes the calls one after another. Returns the outcome of each as text. */
export async function endsOf(calls: Calls): Promise<Record<string, string>> {
  const ends: Record<string, string> = {};
  for (const [name, call] of Object.entries(calls)) {
    try {
      await call();
      ends[name] = 'ok';
    } catch (error) {
      ends[name] = textOf(error as Failure);
    }
  }
  return ends;
}

interface Failure extends Error {
  readonly code?: string;
  readonly cause?: Failure;
}

function textOf({ name, code, cause }: Failure): string {
  return `${name} ${code} of ${cause?.name} ${cause?.code} "${cause?.message}"`;
}

async function drain(blob: Bytes): Promise<void> {
  for await (const _ of blob.createReadStream());
}
