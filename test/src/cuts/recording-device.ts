/**
 * A device in shared memory, which is sometimes slow, and adds all requests to a recording that all its threads share.
 * This file is the module of a custom device.
 */

import type { BlockDevice, DeviceChannel, MaybePromise } from '@blobyard/core';
import { MemoryDevice } from '@blobyard/io';
import { type Before, type SlowDeviceOptions, slowness } from '../stress/slow-device.js';
import { REQUEST, Recording, type RecordingBuffers, type RequestKind } from './recording.js';

export interface RecordingDeviceOptions extends SlowDeviceOptions {
  readonly recording: RecordingBuffers;
  /** True: the device names the owner of its cache (`BlockDevice.cacheOwner`). */
  readonly namesCacheOwner: boolean;
}

/** The owner of the cache until the power is cut, also after a kill, and the owner after a power cut. */
export const CACHE_OWNERS = { kill: new Uint8Array(16).fill(1), power: new Uint8Array(16).fill(2) } as const;

export function openDevice(options: RecordingDeviceOptions): BlockDevice {
  const device = new MemoryDevice({ memory: options.memory });
  const recording = new Recording(options.recording);
  const before = slowness(options);
  const { blockLengthBytes, canCopy } = device;
  return {
    blockLengthBytes,
    canCopy,
    synchronous: !options.isAsynchronous,
    cacheOwner: options.namesCacheOwner ? CACHE_OWNERS.kill : undefined,
    get blockCount() {
      return device.blockCount;
    },
    openChannel: () => recordingChannel(device, device.openChannel(), recording, before),
    close: () => device.close(),
  };
}

/** Requests that fail are never recorded as ended: any part of them may have been done. */
function recordingChannel(
  device: MemoryDevice,
  channel: DeviceChannel,
  recording: Recording,
  before: Before,
): DeviceChannel {
  const unit = device.blockLengthBytes;
  const noted = (
    kind: RequestKind,
    lba: number,
    count: number,
    fill: ((bytes: Uint8Array) => void) | undefined,
    request: () => MaybePromise<void>,
  ): MaybePromise<void> => {
    const index = recording.begin(kind, lba * unit, count * unit, fill);
    return before(() => {
      recording.takeEffect(index, request);
      recording.end(index);
    });
  };
  return {
    read: (buffer, at, lba, count) => before(() => channel.read(buffer, at, lba, count)),
    readv: (buffers, lba, count) => before(() => channel.readv(buffers, lba, count)),
    write: (buffer, at, lba, count) => {
      const fill = (bytes: Uint8Array) => bytes.set(buffer.subarray(at, at + bytes.length));
      return noted(REQUEST.WRITE, lba, count, fill, () => channel.write(buffer, at, lba, count));
    },
    writev: (buffers, lba, count) => {
      const fill = (bytes: Uint8Array) => fillFrom(bytes, buffers);
      return noted(REQUEST.WRITE, lba, count, fill, () => channel.writev(buffers, lba, count));
    },
    writeZeroes: (lba, count) => noted(REQUEST.ZERO, lba, count, undefined, () => channel.writeZeroes(lba, count)),
    unmap: (lba, count) => noted(REQUEST.ZERO, lba, count, undefined, () => channel.unmap(lba, count)),
    flush: () => noted(REQUEST.FLUSH, 0, 0, undefined, () => channel.flush()),
    // The source belongs to a snapshot, so no thread writes to it during the copy.
    copy: (target, source, count) => {
      const fill = (bytes: Uint8Array) => bytes.set(device.bytes().subarray(source * unit, (source + count) * unit));
      return noted(REQUEST.WRITE, target, count, fill, () => channel.copy?.(target, source, count));
    },
    close: () => channel.close(),
  };
}

function fillFrom(bytes: Uint8Array, buffers: readonly Uint8Array[]): void {
  let at = 0;
  for (const buffer of buffers) {
    bytes.set(buffer, at);
    at += buffer.length;
  }
}
