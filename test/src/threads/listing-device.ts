/**
 * A custom device in shared memory that lists the requests of all threads. It takes any range of bytes, or only whole
 * blocks.
 */

import type { BlockDevice, DeviceChannel } from '@blobyard/core';
import { type CustomDeviceSpec, MemoryDevice } from '@blobyard/io';

const NAMES = ['read', 'write', 'readv', 'writev', 'readBytes', 'writeBytes'] as const;
type Name = (typeof NAMES)[number];

/**
 * The number of words of the list. The first word is the number of words after it: for each request the index of its
 * name and its length in bytes.
 */
const LOG_WORDS = 4096;

interface ListingOptions {
  readonly memory: MemoryDevice['memory'];
  readonly takesBytes: boolean;
  readonly log: SharedArrayBuffer;
}

/** The spec of such a device. `take` returns the requests since its last call, as `name length`. */
export function listingDevice(
  memory: MemoryDevice['memory'],
  takesBytes: boolean,
): { spec: CustomDeviceSpec; take: () => string[] } {
  const log = new SharedArrayBuffer(LOG_WORDS * 4);
  const words = new Int32Array(log);
  const options: ListingOptions = { memory, takesBytes, log };
  return {
    spec: { kind: 'custom', module: new URL('../../dist/threads/listing-device.js', import.meta.url).href, options },
    take() {
      const count = Atomics.exchange(words, 0, 0);
      return Array.from({ length: count / 2 }, (_, index) => `${NAMES[words[1 + 2 * index]]} ${words[2 + 2 * index]}`);
    },
  };
}

export function openDevice(options: unknown): BlockDevice {
  const { memory, takesBytes, log } = options as ListingOptions;
  const device = new MemoryDevice({ memory });
  const { blockLengthBytes, blockCount } = device;
  const words = new Int32Array(log);
  const note = (name: Name, length: number) => {
    const at = Atomics.add(words, 0, 2);
    words[1 + at] = NAMES.indexOf(name);
    words[2 + at] = length;
  };
  return {
    blockLengthBytes,
    blockCount,
    synchronous: true,
    canCopy: false,
    takesBytes,
    openChannel: () => listed(device.openChannel(), blockLengthBytes, takesBytes, note),
    close: () => device.close(),
  };
}

/** A channel that lists each transfer, and takes any range of bytes, or only whole blocks. */
export function listed(
  channel: DeviceChannel,
  blockBytes: number,
  takesBytes: boolean,
  note: (name: Name, length: number) => void,
): DeviceChannel {
  const blocks: DeviceChannel = {
    read(buffer, at, lba, count) {
      note('read', count * blockBytes);
      return channel.read(buffer, at, lba, count);
    },
    write(buffer, at, lba, count) {
      note('write', count * blockBytes);
      return channel.write(buffer, at, lba, count);
    },
    readv(buffers, lba, count) {
      note('readv', count * blockBytes);
      return channel.readv(buffers, lba, count);
    },
    writev(buffers, lba, count) {
      note('writev', count * blockBytes);
      return channel.writev(buffers, lba, count);
    },
    writeZeroes: (lba, count) => channel.writeZeroes(lba, count),
    unmap: (lba, count) => channel.unmap(lba, count),
    flush: () => channel.flush(),
    close: () => channel.close(),
  };
  if (!takesBytes) return blocks;
  return {
    ...blocks,
    readBytes(buffer, at, position, length) {
      note('readBytes', length);
      return channel.readBytes?.(buffer, at, position, length);
    },
    writeBytes(buffer, at, position, length) {
      note('writeBytes', length);
      return channel.writeBytes?.(buffer, at, position, length);
    },
  };
}
