/** The devices for the stores of the traces: in the memory of one thread, or in memory that all threads share. */

import { createHash, type Hash } from 'node:crypto';
import { MemoryDevice, SparseMemoryDevice } from '@blobyard/io';

export type TraceDevice = SparseMemoryDevice | MemoryDevice;

export interface TraceDeviceOptions {
  readonly blockLengthBytes: number;
  readonly sizeBytes: number;
  /** The largest size that the trace will give it, in bytes. */
  readonly maxSizeBytes: number;
  readonly canCopy: boolean;
}

/** A device for one thread. It takes memory only for blocks that were written. */
export function createSparseDevice({ blockLengthBytes, sizeBytes, canCopy }: TraceDeviceOptions): SparseMemoryDevice {
  return new SparseMemoryDevice({ blockLengthBytes, sizeBytes, canCopy });
}

/** A device for any number of threads. */
export function createSharedDevice(options: TraceDeviceOptions): MemoryDevice {
  return MemoryDevice.create({ ...options, arenaBytes: 0 });
}

/** The SHA-256 of the whole device, and of its first `prefixBytes`. */
export function imageHashes(device: TraceDevice, prefixBytes: number): { whole: string; prefix: string } {
  const hash = createHash('sha256');
  let prefix: Hash | undefined;
  let at = 0;
  for (const chunk of device instanceof MemoryDevice ? [device.bytes()] : device.chunks()) {
    const left = prefixBytes - at;
    at += chunk.length;
    if (prefix !== undefined || left > chunk.length) {
      hash.update(chunk);
      continue;
    }
    prefix = hash.update(chunk.subarray(0, left)).copy();
    hash.update(chunk.subarray(left));
  }
  prefix ??= hash.copy();
  return { whole: hash.digest('hex'), prefix: prefix.digest('hex') };
}

/** Overwrites bytes of the device. They need not begin or end at a block. */
export function patchDevice(device: TraceDevice, offset: number, patch: Uint8Array): void {
  const { blockLengthBytes } = device;
  const first = Math.floor(offset / blockLengthBytes);
  const count = Math.ceil((offset + patch.length) / blockLengthBytes) - first;
  const channel = device.openChannel();
  const blocks = new Uint8Array(count * blockLengthBytes);
  void channel.read(blocks, 0, first, count);
  blocks.set(patch, offset - first * blockLengthBytes);
  void channel.write(blocks, 0, first, count);
  channel.close();
}
