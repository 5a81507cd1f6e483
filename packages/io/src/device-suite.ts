/**
 * Tests of what every device must do. Run the suite on each kind of device, your own included.
 *
 *     import { describe, expect, it } from 'vitest';
 *     deviceSuite('my device', () => ({ device: new MyDevice() }), { describe, expect, it });
 */

import type { DeviceChannel } from '@blobyard/core';
import { byteCases, byteOperations, type NamedOperation } from './device-suite-bytes.js';
import { isResizable } from './resizable-device.js';
import { BLOCKS, cut, type DeviceFactory, growable, pattern, SuiteBench, type SuiteTestApi } from './suite-bench.js';

/**
 * Registers the tests in a `describe` of the given name. The factory is called for each test, and makes a new device.
 *
 * @param testApi - `describe`, `it` and `expect` of the test framework
 */
export function deviceSuite(name: string, factory: DeviceFactory, testApi: SuiteTestApi): void {
  const bench = new SuiteBench(factory, testApi);
  testApi.describe(name, () => {
    geometryCases(bench);
    transferCases(bench);
    byteCases(bench);
    bufferCases(bench);
    refusalCases(bench);
    zeroCases(bench);
    concurrencyCases(bench);
    sizeCases(bench);
    closingCases(bench);
  });
}

function geometryCases(bench: SuiteBench): void {
  bench.case('has a valid geometry', async ({ device, channel }) => {
    bench.equal(Number.isSafeInteger(device.blockLengthBytes) && device.blockLengthBytes > 0, true, 'block length');
    bench.equal(Number.isSafeInteger(device.blockCount) && device.blockCount >= BLOCKS, true, 'block count');
    bench.equal(typeof channel.copy === 'function', device.canCopy, 'copy is there exactly if canCopy');
    const takesBytes = device.takesBytes === true;
    bench.equal(typeof channel.readBytes === 'function', takesBytes, 'readBytes is there exactly if takesBytes');
    bench.equal(typeof channel.writeBytes === 'function', takesBytes, 'writeBytes is there exactly if takesBytes');
    bench.equal(device.isDegraded?.() ?? false, false, 'not degraded');
  });

  bench.case('reads as zeroes when it is new', async (setting) => {
    bench.sameBytes(await bench.image(setting), new Uint8Array(BLOCKS * setting.blockLength), 'fresh device');
  });

  bench.case('returns no promises if it is synchronous', async ({ device, channel, blockLength }) => {
    const buffer = new Uint8Array(blockLength);
    const results = [
      channel.write(buffer, 0, 0, 1),
      channel.writev([buffer], 0, 1),
      channel.read(buffer, 0, 0, 1),
      channel.readv([buffer], 0, 1),
      channel.writeZeroes(0, 1),
      channel.unmap(0, 1),
      channel.flush(),
      channel.writeBytes?.(buffer, 0, 1, 2),
      channel.readBytes?.(buffer, 0, 1, 2),
    ];
    if (device.synchronous) for (const result of results) bench.equal(result, undefined);
    await Promise.all(results);
  });
}

function transferCases(bench: SuiteBench): void {
  bench.case('reads back what it wrote, at every block and in every length', async (setting) => {
    const { channel, blockLength } = setting;
    const model = new Uint8Array(BLOCKS * blockLength);
    for (let lba = 0; lba < BLOCKS; lba++) {
      const blocks = 1 + ((lba * 7) % (BLOCKS - lba));
      const content = pattern(blocks * blockLength, lba + 1);
      await channel.write(content, 0, lba, blocks);
      model.set(content, lba * blockLength);
      const back = new Uint8Array(blocks * blockLength);
      await channel.read(back, 0, lba, blocks);
      bench.sameBytes(back, content, `${blocks} blocks at ${lba}`);
    }
    bench.sameBytes(await bench.image(setting), model, 'all blocks');
  });

  bench.case('reads and writes the last block', async ({ device, channel, blockLength }) => {
    const content = pattern(blockLength, 9);
    await channel.write(content, 0, device.blockCount - 1, 1);
    const back = new Uint8Array(blockLength);
    await channel.read(back, 0, device.blockCount - 1, 1);
    bench.sameBytes(back, content, 'last block');
  });

  bench.case('accepts scatter lists of buffers of odd lengths', async (setting) => {
    const { channel, blockLength } = setting;
    const blocks = 5;
    const content = pattern(blocks * blockLength, 3);
    await channel.writev(cut(content, [1, 0, 510, blockLength, 3, 2 * blockLength - 7]), 2, blocks);
    const back = new Uint8Array(content.byteLength);
    await channel.readv(cut(back, [blockLength - 1, 0, 2, 0, 777 % blockLength]), 2, blocks);
    bench.sameBytes(back, content, 'scattered');
    const model = new Uint8Array(BLOCKS * blockLength);
    model.set(content, 2 * blockLength);
    bench.sameBytes(await bench.image(setting), model, 'neighbours');
  });

  bench.case('accepts scatter lists of more buffers than one system call takes', async ({ channel, blockLength }) => {
    const content = pattern(BLOCKS * blockLength, 4);
    const lengths = new Array<number>(3000).fill(Math.floor(content.byteLength / 3001));
    await channel.writev(cut(content, lengths), 0, BLOCKS);
    const back = new Uint8Array(content.byteLength);
    await channel.readv(cut(back, lengths), 0, BLOCKS);
    bench.sameBytes(back, content, '3001 buffers');
  });

  bench.case('does nothing for zero blocks', async (setting) => {
    const { channel, device } = setting;
    const before = await bench.fill(setting, 5);
    const nothing = new Uint8Array(0);
    for (const lba of [0, 3, device.blockCount]) {
      await channel.write(nothing, 0, lba, 0);
      await channel.read(nothing, 0, lba, 0);
      await channel.writev([], lba, 0);
      await channel.readv([nothing], lba, 0);
      await channel.writeZeroes(lba, 0);
      await channel.unmap(lba, 0);
      await channel.copy?.(lba, 0, 0);
    }
    bench.sameBytes(await bench.image(setting), before, 'unchanged');
  });

  bench.case('copies blocks, if canCopy', async (setting) => {
    const { channel, blockLength } = setting;
    if (!channel.copy) return;
    const model = await bench.fill(setting, 6);
    for (const [target, source, blocks] of [
      [40, 3, 17],
      [3, 4, 1],
      [0, 32, 32],
    ] as const) {
      await channel.copy(target, source, blocks);
      model.copyWithin(target * blockLength, source * blockLength, (source + blocks) * blockLength);
      bench.sameBytes(await bench.image(setting), model, `copy of ${blocks} blocks from ${source} to ${target}`);
    }
    await bench.fails('EIO', () => channel.copy?.(0, setting.device.blockCount - 1, 2), 'copy from beyond the end');
    await bench.fails('EIO', () => channel.copy?.(setting.device.blockCount - 1, 0, 2), 'copy to beyond the end');
    bench.sameBytes(await bench.image(setting), model, 'unchanged');
  });
}

function bufferCases(bench: SuiteBench): void {
  const kinds: [string, (lengthBytes: number) => Uint8Array][] = [
    ['plain memory', (length) => new Uint8Array(length)],
    ['a Buffer of the pool', (length) => Buffer.allocUnsafe(length)],
    ['shared memory', (length) => new Uint8Array(new SharedArrayBuffer(length))],
    ['growable shared memory', (length) => growable(length)],
  ];
  for (const [name, allocate] of kinds) {
    bench.case(`touches only its part of a buffer in ${name}, at odd offsets`, async ({ channel, blockLength }) => {
      for (const offset of [0, 1, 7, 512, blockLength + 3]) {
        const content = allocate(offset + 2 * blockLength + 5);
        content.set(pattern(content.byteLength, offset + 1));
        await channel.write(content, offset, 8, 2);
        const back = allocate(content.byteLength).fill(0xa5);
        await channel.read(back, offset, 8, 2);
        const expected = new Uint8Array(back.byteLength).fill(0xa5);
        expected.set(content.subarray(offset, offset + 2 * blockLength), offset);
        bench.sameBytes(back, expected, `offset ${offset}`);
        const lists = [content, back].map((all) => cut(all.subarray(offset, offset + 2 * blockLength), [13]));
        await channel.writev(lists[0], 20, 2);
        await channel.readv(lists[1], 20, 2);
        bench.sameBytes(back, expected, `offset ${offset}, scattered`);
      }
    });
  }
}

function refusalCases(bench: SuiteBench): void {
  bench.case('rejects ranges that are not wholly on the device with EIO, and changes nothing', async (setting) => {
    const { device, channel, blockLength } = setting;
    const end = device.blockCount;
    const buffer = new Uint8Array(3 * blockLength).fill(0x5a);
    const before = await bench.fill(setting, 7);
    const last = new Uint8Array(blockLength);
    await channel.read(last, 0, end - 1, 1);
    for (const lba of [end - 2, end, end + 1, -1, Number.MAX_SAFE_INTEGER - 1]) {
      const where = `at ${lba} of ${end}`;
      await bench.fails('EIO', () => channel.read(buffer, 0, lba, 3), `read ${where}`);
      await bench.fails('EIO', () => channel.write(buffer, 0, lba, 3), `write ${where}`);
      await bench.fails('EIO', () => channel.readv([buffer], lba, 3), `readv ${where}`);
      await bench.fails('EIO', () => channel.writev([buffer], lba, 3), `writev ${where}`);
      await bench.fails('EIO', () => channel.writeZeroes(lba, 3), `writeZeroes ${where}`);
      await bench.fails('EIO', () => channel.unmap(lba, 3), `unmap ${where}`);
    }
    bench.sameBytes(buffer, new Uint8Array(buffer.byteLength).fill(0x5a), 'buffer');
    bench.sameBytes(await bench.image(setting), before, 'device');
    const lastAfter = new Uint8Array(blockLength);
    await channel.read(lastAfter, 0, end - 1, 1);
    bench.sameBytes(lastAfter, last, 'last block');
  });

  bench.case('rejects invalid numbers and buffers with EINVAL', async (setting) => {
    const { channel, blockLength } = setting;
    const before = await bench.fill(setting, 8);
    const buffer = new Uint8Array(2 * blockLength);
    for (const bad of [Number.NaN, 0.5, Number.POSITIVE_INFINITY]) {
      await bench.fails('EINVAL', () => channel.read(buffer, 0, bad, 1), `read at ${bad}`);
      await bench.fails('EINVAL', () => channel.write(buffer, 0, 0, bad), `write of ${bad} blocks`);
      await bench.fails('EINVAL', () => channel.writeZeroes(bad, 1), `writeZeroes at ${bad}`);
      await bench.fails('EINVAL', () => channel.unmap(0, bad), `unmap of ${bad} blocks`);
      await bench.fails('EINVAL', () => channel.write(buffer, bad, 0, 1), `write from byte ${bad}`);
    }
    await bench.fails('EINVAL', () => channel.read(buffer, 1, 0, 2), 'read past the end of the buffer');
    await bench.fails('EINVAL', () => channel.write(buffer, -1, 0, 1), 'write from before the buffer');
    await bench.fails('EINVAL', () => channel.readv([buffer, buffer], 0, 3), 'readv into too much');
    await bench.fails('EINVAL', () => channel.writev([buffer], 0, 3), 'writev from too little');
    bench.sameBytes(await bench.image(setting), before, 'device');
  });
}

function zeroCases(bench: SuiteBench): void {
  for (const operation of ['writeZeroes', 'unmap'] as const) {
    bench.case(`${operation} leaves zeroes, and does not change the blocks around`, async (setting) => {
      const { channel, blockLength } = setting;
      const model = await bench.fill(setting, 10);
      for (const [lba, blocks] of [
        [1, 1],
        [5, 3],
        [17, 16],
        [33, BLOCKS - 33],
      ]) {
        await channel[operation](lba, blocks);
        model.fill(0, lba * blockLength, (lba + blocks) * blockLength);
        bench.sameBytes(await bench.image(setting), model, `${blocks} blocks at ${lba}`);
      }
      await channel[operation](0, BLOCKS);
      bench.sameBytes(await bench.image(setting), new Uint8Array(BLOCKS * blockLength), 'all');
      const content = await bench.fill(setting, 11);
      bench.sameBytes(await bench.image(setting), content, 'written again');
    });
  }

  bench.case('isZeroes is true only for blocks that read as zeroes', async (setting) => {
    const { device, channel, blockLength } = setting;
    await bench.fill(setting, 12);
    await channel.unmap(0, BLOCKS / 2);
    const image = await bench.image(setting);
    for (let lba = 0; lba < BLOCKS; lba++) {
      const isZero = image.subarray(lba * blockLength, (lba + 1) * blockLength).every((byte) => byte === 0);
      if (!isZero) bench.equal(device.isZeroes?.(lba, 1) ?? false, false, `block ${lba}`);
    }
  });
}

function concurrencyCases(bench: SuiteBench): void {
  bench.case('handles many operations in flight', async (setting) => {
    const { channel, blockLength } = setting;
    const model = pattern(BLOCKS * blockLength, 13);
    const lbas = Array.from({ length: BLOCKS }, (_, index) => (index * 37) % BLOCKS);
    await Promise.all(lbas.map((lba) => channel.write(model, lba * blockLength, lba, 1)));
    const back = new Uint8Array(model.byteLength);
    await Promise.all(lbas.map((lba) => channel.read(back, lba * blockLength, lba, 1)));
    bench.sameBytes(back, model, 'single blocks');
    await Promise.all([
      ...lbas.filter((lba) => lba % 2 === 0).map((lba) => channel.writeZeroes(lba, 1)),
      ...lbas.filter((lba) => lba % 4 === 1).map((lba) => channel.writev([pattern(blockLength, lba)], lba, 1)),
    ]);
    for (let lba = 0; lba < BLOCKS; lba++) {
      if (lba % 2 === 0) model.fill(0, lba * blockLength, (lba + 1) * blockLength);
      if (lba % 4 === 1) model.set(pattern(blockLength, lba), lba * blockLength);
    }
    await channel.flush();
    bench.sameBytes(await bench.image(setting), model, 'mixed');
  });

  bench.case('reads through one channel what was written through another', async (setting) => {
    const other = setting.device.openChannel();
    const content = await bench.fill(setting, 14);
    await setting.channel.flush();
    bench.sameBytes(await bench.image({ ...setting, channel: other }), content, 'other channel');
    other.close();
    bench.sameBytes(await bench.image(setting), content, 'first channel, the other closed');
  });
}

function sizeCases(bench: SuiteBench): void {
  bench.case('keeps its size in refresh, if it has refresh', async ({ device }) => {
    const before = device.blockCount;
    await device.refresh?.();
    bench.equal(device.blockCount, before);
  });

  bench.case('shrinks, and grows by blocks of zeroes, if it is resizable', async (setting) => {
    const { device, channel, blockLength } = setting;
    if (!isResizable(device)) return;
    const before = device.blockCount;
    const content = await bench.fill(setting, 15);
    await device.resize(20);
    bench.equal(device.blockCount, 20);
    await bench.fails('EIO', () => channel.read(new Uint8Array(blockLength), 0, 20, 1), 'read of removed blocks');
    await device.resize(before);
    bench.equal(device.blockCount, before);
    content.fill(0, 20 * blockLength);
    bench.sameBytes(await bench.image(setting), content, 'grown again');
    for (const bad of [-1, 1.5, Number.NaN]) {
      await bench.fails('EINVAL', () => device.resize(bad), `resize to ${bad}`);
    }
    bench.equal(device.blockCount, before);
  });
}

function closingCases(bench: SuiteBench): void {
  const operations = (channel: DeviceChannel, buffer: Uint8Array): NamedOperation[] => [
    ['read', () => channel.read(buffer, 0, 0, 1)],
    ['write', () => channel.write(buffer, 0, 0, 1)],
    ['readv', () => channel.readv([buffer], 0, 1)],
    ['writev', () => channel.writev([buffer], 0, 1)],
    ['writeZeroes', () => channel.writeZeroes(0, 1)],
    ['unmap', () => channel.unmap(0, 1)],
    ['flush', () => channel.flush()],
    ...(channel.readBytes ? byteOperations(channel, buffer) : []),
  ];

  bench.case('rejects operations on a closed channel with EBADF', async ({ device, channel, blockLength }) => {
    const other = device.openChannel();
    channel.close();
    channel.close();
    const buffer = new Uint8Array(blockLength);
    for (const [name, operation] of operations(channel, buffer)) await bench.fails('EBADF', operation, name);
    await other.read(buffer, 0, 0, 1);
  });

  bench.case('rejects operations on a closed device with EBADF', async ({ device, channel, blockLength }) => {
    await device.close();
    await device.close();
    const buffer = new Uint8Array(blockLength);
    for (const [name, operation] of operations(channel, buffer)) await bench.fails('EBADF', operation, name);
    await bench.fails('EBADF', () => device.openChannel() && undefined, 'openChannel');
  });

  bench.case('finishes the operations in flight when it is closed', async ({ device, channel, blockLength }) => {
    const content = pattern(BLOCKS * blockLength, 16);
    const writes = Array.from({ length: BLOCKS }, (_, lba) => channel.write(content, lba * blockLength, lba, 1));
    const closed = device.close();
    await Promise.all([...writes, closed]);
  });
}
