/** The part of the device suite that is about ranges of bytes: for devices with `takesBytes`. */

import type { DeviceChannel, MaybePromise } from '@blobyard/core';
import { BLOCKS, pattern, type SuiteBench } from './suite-bench.js';

/** An operation of a channel, with its name for messages. */
export type NamedOperation = [string, () => MaybePromise<void> | undefined];

/** Operations on a range of bytes. */
export function byteOperations(channel: DeviceChannel, buffer: Uint8Array): NamedOperation[] {
  return [
    ['readBytes', () => channel.readBytes?.(buffer, 0, 1, 2)],
    ['writeBytes', () => channel.writeBytes?.(buffer, 0, 1, 2)],
  ];
}

/** Registers the tests of ranges of bytes. */
export function byteCases(bench: SuiteBench): void {
  bench.case('reads and writes any range of bytes, if takesBytes', async (setting) => {
    const { channel, blockLength } = setting;
    const { readBytes, writeBytes } = channel;
    if (!readBytes || !writeBytes) return;
    const model = await bench.fill(setting, 17);
    const ranges = [
      [0, 1],
      [blockLength - 1, 2],
      [3 * blockLength + 7, 100],
      [5 * blockLength + 1, 3 * blockLength],
      [BLOCKS * blockLength - 3, 3],
    ];
    for (const [index, [position, length]] of ranges.entries()) {
      const given = pattern(length + 9, index + 40);
      await channel.writeBytes?.(given, 4, position, length);
      model.set(given.subarray(4, 4 + length), position);
      bench.sameBytes(await bench.image(setting), model, `${length} bytes at ${position}`);
      const back = new Uint8Array(length + 9).fill(0xa5);
      await channel.readBytes?.(back, 5, position, length);
      const expected = new Uint8Array(length + 9).fill(0xa5);
      expected.set(given.subarray(4, 4 + length), 5);
      bench.sameBytes(back, expected, `${length} bytes read at ${position}`);
    }
    await channel.writeBytes?.(model, 0, 3, 0);
    bench.sameBytes(await bench.image(setting), model, 'nothing written');
  });

  bench.case('loses no write of bytes to others of the same block at once, if takesBytes', async (setting) => {
    const { channel, blockLength } = setting;
    if (blockLength % 32 !== 0) return;
    const model = await bench.fill(setting, 18);
    const parts = Array.from({ length: 32 }, (_, index) => index * (blockLength / 32));
    await Promise.all(
      parts.map((at, index) => {
        const given = pattern(blockLength / 32, index + 60);
        if (channel.writeBytes) model.set(given, 9 * blockLength + at);
        return channel.writeBytes?.(given, 0, 9 * blockLength + at, given.length);
      }),
    );
    bench.sameBytes(await bench.image(setting), model, 'one block');
  });

  bench.case('rejects ranges of bytes as it rejects blocks', async (setting) => {
    const { device, channel, blockLength } = setting;
    if (!channel.readBytes) return;
    const before = await bench.fill(setting, 19);
    const end = device.blockCount * blockLength;
    const buffer = new Uint8Array(8);
    for (const position of [end - 7, end, -1, Number.MAX_SAFE_INTEGER - 1]) {
      await bench.fails('EIO', () => channel.readBytes?.(buffer, 0, position, 8), `read at byte ${position}`);
      await bench.fails('EIO', () => channel.writeBytes?.(buffer, 0, position, 8), `write at byte ${position}`);
    }
    for (const bad of [Number.NaN, 0.5]) {
      await bench.fails('EINVAL', () => channel.readBytes?.(buffer, 0, bad, 1), `read at byte ${bad}`);
      await bench.fails('EINVAL', () => channel.writeBytes?.(buffer, 0, 0, bad), `write of ${bad} bytes`);
      await bench.fails('EINVAL', () => channel.writeBytes?.(buffer, bad, 0, 1), `write from byte ${bad}`);
    }
    await bench.fails('EINVAL', () => channel.readBytes?.(buffer, 1, 0, 8), 'read past the end of the buffer');
    bench.sameBytes(await bench.image(setting), before, 'device');
  });
}
