/** Devices for tests: `FaultyDevice`, which fails as it is told, and `asyncDevice`. */

import { type AsyncDeviceOptions, asyncDevice, FaultyDevice, MemoryDevice } from '@blobyard/io';
import { describe, expect, it } from 'vitest';
import { shuffled } from '../random.js';
import { failure } from './failure.js';

const BLOCK = 4096;

function setUp(options: { asynchronous?: boolean } = {}) {
  const medium = MemoryDevice.create({ sizeBytes: 16 * BLOCK, canCopy: true });
  const device = new FaultyDevice(medium, options);
  const filled = (value: number, blocks = 1) => new Uint8Array(blocks * BLOCK).fill(value);
  return { medium, device, channel: device.openChannel(), filled };
}

/** The value of each sector of the device; all bytes of a sector must be the same. */
function sectors(medium: MemoryDevice, first: number, count: number): number[] {
  return Array.from({ length: count }, (_, index) => {
    const sector = medium.bytes().subarray((first + index) * 512, (first + index + 1) * 512);
    expect(new Set(sector).size).toBe(1);
    return sector[0];
  });
}

describe('FaultyDevice', () => {
  it('counts operations by kind', async () => {
    const { device, channel, filled } = setUp();
    await channel.write(filled(1), 0, 0, 1);
    await channel.writev([filled(1)], 1, 1);
    await channel.read(filled(0), 0, 0, 1);
    await channel.copy?.(4, 0, 1);
    await channel.flush();
    await failure('EIO', () => channel.unmap(99, 1));
    expect(device.counters).toEqual({ read: 1, write: 2, writeZeroes: 0, unmap: 1, flush: 1, copy: 1 });
    expect([device.count(), device.count('write')]).toEqual([6, 2]);
  });

  it('makes the k-th operation from now fail, of one kind or of any, once or more often', async () => {
    const { medium, device, channel, filled } = setUp();
    device.failAt(2, { kind: 'write', code: 'ENOSPC' });
    await channel.write(filled(1), 0, 0, 1);
    await channel.read(filled(0), 0, 0, 1);
    await failure('ENOSPC', () => channel.write(filled(2), 0, 0, 1));
    await channel.write(filled(3), 0, 1, 1);
    expect(sectors(medium, 0, 16)).toEqual([...filled(1).subarray(0, 8), ...filled(3).subarray(0, 8)]);
    device.failAt(2, { times: 2 });
    await channel.flush();
    await failure('EIO', () => channel.read(filled(0), 0, 0, 1));
    await failure('EIO', () => channel.writeZeroes(0, 1));
    await channel.writeZeroes(0, 1);
    device.failAt(1);
    device.clearFaults();
    await channel.flush();
  });

  it('tears one operation at a sector boundary, and not the next one', async () => {
    const { medium, device, channel, filled } = setUp();
    await channel.write(filled(1, 4), 0, 0, 4);
    device.tearAt(1, 11);
    await failure('EIO', () => channel.writev([filled(2), filled(3)], 0, 2));
    expect(sectors(medium, 0, 16)).toEqual([2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 1, 1, 1, 1, 1]);
    device.tearAt(1, 3, { kind: 'unmap', code: 'ENXIO' });
    await channel.write(filled(4), 0, 0, 1);
    await failure('ENXIO', () => channel.unmap(0, 1));
    expect(sectors(medium, 0, 8)).toEqual([0, 0, 0, 4, 4, 4, 4, 4]);
    device.tearAt(1, 1, { kind: 'copy' });
    await failure('EIO', () => channel.copy?.(0, 2, 1));
    expect(sectors(medium, 0, 4)).toEqual([1, 0, 0, 4]);
    device.tearAt(1, 1000);
    await failure('EIO', () => channel.write(filled(5), 0, 1, 1));
    expect(sectors(medium, 7, 10)).toEqual([4, 5, 5, 5, 5, 5, 5, 5, 5, 1]);
  });

  it.each(['fail', 'drop'] as const)(
    'cuts the power at the k-th change: later changes %s, reads go on',
    async (writes) => {
      const { medium, device, channel, filled } = setUp();
      const attempt = (operation: () => unknown) => (writes === 'fail' ? failure('EIO', operation) : operation());
      device.cutPowerAt(3, { writes, sectors: 2 });
      await channel.write(filled(1), 0, 0, 1);
      await channel.read(filled(0), 0, 0, 1);
      await channel.flush();
      expect(device.isPowered).toBe(true);
      await attempt(() => channel.write(filled(2), 0, 0, 1));
      expect(device.isPowered).toBe(false);
      await attempt(() => channel.unmap(0, 1));
      await attempt(() => channel.flush());
      await attempt(() => channel.copy?.(0, 8, 1));
      const seen = filled(9);
      await channel.read(seen, 0, 0, 1);
      expect(Buffer.compare(seen, medium.bytes().subarray(0, BLOCK))).toBe(0);
      expect(sectors(medium, 0, 8)).toEqual([2, 2, 1, 1, 1, 1, 1, 1]);
      device.restorePower();
      await channel.write(filled(3), 0, 0, 1);
      expect(sectors(medium, 0, 8)).toEqual([3, 3, 3, 3, 3, 3, 3, 3]);
    },
  );

  it('holds one operation at a gate while others run', async () => {
    const { medium, device, channel, filled } = setUp({ asynchronous: true });
    expect(device.synchronous).toBe(false);
    const gate = device.gate('write', 2);
    await channel.write(filled(1), 0, 0, 1);
    let isDone = false;
    const held = Promise.resolve(channel.write(filled(2), 0, 0, 1)).then(() => {
      isDone = true;
    });
    await gate.reached;
    await channel.write(filled(3), 0, 1, 1);
    expect([isDone, ...sectors(medium, 7, 2)]).toEqual([false, 1, 3]);
    gate.release();
    await held;
    expect(sectors(medium, 7, 2)).toEqual([2, 3]);
  });

  it('loses the operations at a gate in a power cut, and applies the faults of those behind it', async () => {
    const { medium, device, channel, filled } = setUp({ asynchronous: true });
    const gates = [device.gate('write', 1), device.gate('read', 1)];
    device.failAt(1, { kind: 'read', code: 'ENXIO' });
    const write = failure('EIO', () => channel.write(filled(1), 0, 0, 1));
    const read = failure('ENXIO', () => channel.read(filled(0), 0, 0, 1));
    await Promise.all(gates.map((gate) => gate.reached));
    device.cutPower();
    for (const gate of gates) gate.release();
    await Promise.all([write, read]);
    expect(sectors(medium, 0, 1)).toEqual([0]);
  });

  it('forwards isDegraded, isZeroes and translateLba to the wrapped device, as asyncDevice does', () => {
    const { medium } = setUp();
    const described = Object.assign(medium, {
      isDegraded: () => true,
      isZeroes: (lba: number) => lba === 3,
      translateLba: (lba: number) => (lba === 3 ? undefined : lba + 100),
    });
    for (const device of [new FaultyDevice(described), asyncDevice(described)]) {
      expect([device.isDegraded?.(), device.isZeroes?.(3, 1), device.isZeroes?.(4, 1)]).toEqual([true, true, false]);
      expect([device.translateLba?.(3), device.translateLba?.(4)]).toEqual([undefined, 104]);
    }
    const plain = new FaultyDevice(MemoryDevice.create({ sizeBytes: BLOCK }));
    expect([plain.isDegraded(), plain.isZeroes(0, 1), plain.translateLba(0)]).toEqual([false, false, undefined]);
  });

  it('has no gates if it is synchronous', async () => {
    await failure('EINVAL', () => setUp().device.gate('read', 1));
  });

  it('tears on an asynchronous device as well', async () => {
    const { medium, filled } = setUp();
    const device = new FaultyDevice(asyncDevice(medium));
    device.tearAt(1, 1);
    const channel = device.openChannel();
    await failure('EIO', () => channel.write(filled(1), 0, 0, 1));
    expect(sectors(medium, 0, 2)).toEqual([1, 0]);
  });
});

describe('asyncDevice', () => {
  /** Makes 20 writes to one block. Returns the order in which they ran, and the final contents. */
  async function order(options: AsyncDeviceOptions): Promise<number[]> {
    const medium = MemoryDevice.create({ sizeBytes: BLOCK });
    const device = asyncDevice(medium, options);
    const channel = device.openChannel();
    const done: number[] = [];
    const writes = Array.from({ length: 20 }, async (_, index) => {
      await channel.write(new Uint8Array(BLOCK).fill(index), 0, 0, 1);
      expect(medium.bytes()[0]).toBe(index);
      done.push(index);
    });
    expect(medium.bytes()[0]).toBe(0);
    await Promise.all(writes);
    await device.close();
    return done;
  }

  const inOrder = Array.from({ length: 20 }, (_, index) => index);

  it('keeps the order of operations, or shuffles it by the given random numbers', async () => {
    expect(await order({})).toEqual(inOrder);
    expect(await order({ when: 'microtask' })).toEqual(inOrder);
    const mixed = await order(shuffled(1));
    expect(mixed).not.toEqual(inOrder);
    expect([...mixed].sort((a, b) => a - b)).toEqual(inOrder);
    expect(await order(shuffled(1))).toEqual(mixed);
    expect(await order(shuffled(2))).not.toEqual(mixed);
    for (const number of [Number.NaN, -1, 7]) {
      expect((await order({ random: () => number })).sort((a, b) => a - b)).toEqual(inOrder);
    }
    expect(() => asyncDevice(MemoryDevice.create({ sizeBytes: BLOCK }), { random: 1 as never })).toThrow(/random/);
  });

  it('finishes the operations in flight before it closes', async () => {
    const medium = MemoryDevice.create({ sizeBytes: BLOCK });
    const device = asyncDevice(medium, shuffled(3));
    const channel = device.openChannel();
    const write = channel.write(new Uint8Array(BLOCK).fill(1), 0, 0, 1);
    channel.close();
    const closed = device.close();
    await failure('EBADF', () => device.openChannel().flush());
    await Promise.all([write, closed]);
    expect(medium.bytes()[0]).toBe(1);
  });
});
