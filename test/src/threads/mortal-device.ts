/** A custom device in shared memory: a thread that writes a block which begins with a poison dies. */

import type { BlockDevice, DeviceChannel } from '@blobyard/core';
import { type CustomDeviceSpec, MemoryDevice } from '@blobyard/io';

export type Death = 'exit' | 'throw' | 'reject' | 'memory';

interface MortalDeviceOptions {
  readonly memory: MemoryDevice['memory'];
}

export function mortalDevice(device: MemoryDevice): CustomDeviceSpec {
  const options: MortalDeviceOptions = { memory: device.memory };
  return { kind: 'custom', module: new URL('../../dist/threads/mortal-device.js', import.meta.url).href, options };
}

/** The block that makes the thread which writes it die. */
export function poison(death: Death): Uint8Array {
  const block = new Uint8Array(4096);
  block.set(Buffer.from(`die: ${death};`));
  return block;
}

export function openDevice(options: unknown): BlockDevice {
  const device = new MemoryDevice({ memory: (options as MortalDeviceOptions).memory });
  const openChannel = device.openChannel.bind(device);
  device.openChannel = (): DeviceChannel => {
    const channel = openChannel();
    const write = channel.write.bind(channel);
    channel.write = (buffer, bufferOffset, lba, blockCount) => {
      const words = /^die: (\w+);/.exec(Buffer.from(buffer.slice(bufferOffset, bufferOffset + 32)).toString('latin1'));
      if (words) die(words[1] as Death);
      return write(buffer, bufferOffset, lba, blockCount);
    };
    return channel;
  };
  return device;
}

function die(death: Death): never {
  if (death === 'exit') process.exit(7);
  if (death === 'throw') {
    setImmediate(() => {
      throw new Error('a bug in the device');
    });
  }
  if (death === 'reject') void Promise.reject(new Error('nobody catches this'));
  // The objects are small: with large ones, Node.js 24 sometimes ends the whole process instead of the thread.
  let hoard: unknown;
  while (death === 'memory') hoard = { more: hoard, some: [Math.random()] };
  throw new Error('the end is near');
}
