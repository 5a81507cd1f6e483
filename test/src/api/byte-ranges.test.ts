/**
 * What the device is asked for when a range of bytes is read or written: exactly these bytes if it takes any bytes,
 * otherwise whole blocks.
 */

import { SparseMemoryDevice } from 'blobyard';
import { type BlockDevice, FaultyDevice } from 'blobyard/devices';
import { describe, expect, test } from 'vitest';
import { listed } from '../threads/listing-device.js';
import { bytes, CLUSTER, expectCode, expectSame, isPooled, KiB, MiB, testStore } from './support.js';

const BLOCK = 4 * KiB;

/**
 * A device that lists the transfers that it is asked for, as `name length`, with the length in bytes. `take` returns
 * the list and empties it.
 */
function listing(takesBytes: boolean): { device: BlockDevice; take: () => string[] } {
  let asked: string[] = [];
  const note = (name: string, length: number) => void asked.push(`${name} ${length}`);
  const inner = new SparseMemoryDevice({ sizeBytes: 8 * MiB, blockLengthBytes: BLOCK });
  const device: BlockDevice = {
    blockLengthBytes: BLOCK,
    blockCount: inner.blockCount,
    synchronous: true,
    canCopy: false,
    takesBytes,
    openChannel: () => listed(inner.openChannel(), BLOCK, takesBytes, note),
    close: () => inner.close(),
  };
  const take = () => {
    const taken = asked;
    asked = [];
    return taken;
  };
  return { device, take };
}

async function ground(takesBytes: boolean) {
  const { device, take } = listing(takesBytes);
  const store = await testStore(device);
  const blob = await store.create({ sizeBytes: 8 * CLUSTER });
  const model = bytes(4 * CLUSTER, 1);
  await blob.write(model, 0);
  take();
  const write = (data: Uint8Array, offset: number) => {
    model.set(data, offset);
    return data;
  };
  return { store, blob, model, take, write };
}

describe.skipIf(isPooled)('a device that takes any bytes', () => {
  test('is asked for exactly the bytes of a read', async () => {
    const { blob, model, take } = await ground(true);
    const ranges: [number, number, string[]][] = [
      [512, 512, ['readBytes 512']],
      [BLOCK - 1, 2, ['readBytes 2']],
      [100, 5000, ['readBytes 5000']],
      [0, BLOCK, ['read 4096']],
      // The clusters of a new blob follow one another on the device.
      [CLUSTER - 100, 300, ['readBytes 300']],
      [CLUSTER - BLOCK, 2 * BLOCK, ['read 8192']],
      [CLUSTER - BLOCK, 2 * CLUSTER + 7, ['readBytes 32775']],
    ];
    for (const [offset, length, expected] of ranges) {
      const wanted = model.subarray(offset, offset + length);
      expectSame(blob.readSync(offset, new Uint8Array(length)), wanted, `readSync at ${offset}`);
      expect(take(), `readSync at ${offset}`).toEqual(expected);
      expectSame(await blob.read(offset, new Uint8Array(length)), wanted, `read at ${offset}`);
      expect(take(), `read at ${offset}`).toEqual(expected);
    }
    expectSame(await blob.read(512, 512), model.subarray(512, 1024), 'a new array');
    expectSame(blob.readSync(512, 512), model.subarray(512, 1024), 'a new array');
    expect(take()).toEqual(['readBytes 512', 'readBytes 512']);
  });

  test('gets exactly the bytes of a write, and is not asked to read', async () => {
    const { blob, model, take, write } = await ground(true);
    const ranges: [number, number, string[]][] = [
      [512, 512, ['writeBytes 512']],
      [BLOCK - 1, 2, ['writeBytes 2']],
      [100, 5000, ['writeBytes 5000']],
      [0, BLOCK, ['write 4096']],
      [CLUSTER - 100, 300, ['writeBytes 300']],
      [CLUSTER - BLOCK, 2 * CLUSTER + 7, ['writeBytes 32775']],
    ];
    for (const [offset, length, expected] of ranges) {
      blob.writeSync(write(bytes(length, offset + 2), offset), offset);
      expect(take(), `writeSync at ${offset}`).toEqual(expected);
      await blob.write(write(bytes(length, offset + 3), offset), offset);
      expect(take(), `write at ${offset}`).toEqual(expected);
    }
    expectSame(await blob.read(0, model.length), model, 'all');
  });

  test('gets one transfer for each part of a range whose clusters are not neighbours', async () => {
    const { store, take } = await ground(true);
    const thin = await store.create({ sizeBytes: 4 * CLUSTER, thin: true });
    const model = bytes(4 * CLUSTER, 5);
    for (const cluster of [3, 0, 2, 1]) {
      await thin.write(model.subarray(cluster * CLUSTER, (cluster + 1) * CLUSTER), cluster * CLUSTER);
    }
    take();
    expectSame(thin.readSync(CLUSTER - 5, new Uint8Array(10)), model.subarray(CLUSTER - 5, CLUSTER + 5), 'two');
    expect(take()).toEqual(['readBytes 5', 'readBytes 5']);
    thin.writeSync(model.subarray(CLUSTER - BLOCK, CLUSTER + 7), CLUSTER - BLOCK);
    expect(take()).toEqual(['write 4096', 'writeBytes 7']);
    expect(() => store.channel.readSync(thin.engine, new Uint8Array(BLOCK + 1), 3, 2)).toThrow(/8192 bytes/);
    expect(take()).toEqual([]); // no part is moved if the buffer has no room for all
    expectSame(await thin.read(5, model.length - 9), model.subarray(5, model.length - 4), 'all');
    expect(take()).toEqual(['readBytes 16379', 'read 16384', 'read 16384', 'readBytes 16380']);
  });

  test('gets exactly the bytes of a first write, too', async () => {
    const { store, take } = await ground(true);
    const thin = await store.create({ sizeBytes: 4 * CLUSTER, thin: true });
    take();
    thin.writeSync(bytes(10, 3), 3);
    expect(take().filter((each) => each.includes('Bytes'))).toEqual(['writeBytes 10']);
    await thin.write(bytes(10, 4), CLUSTER - 5); // crosses into a cluster that is not allocated
    expect(take().filter((each) => each.includes('Bytes'))).toEqual(['writeBytes 5', 'writeBytes 5']);
    await thin.write(bytes(10, 5), 50);
    expect(take()).toEqual(['writeBytes 10']);
    const model = new Uint8Array(thin.sizeBytes);
    model.set(bytes(10, 3), 3);
    model.set(bytes(10, 4), CLUSTER - 5);
    model.set(bytes(10, 5), 50);
    expectSame(await thin.read(0, model.length), model, 'thin');
  });

  test('keeps the data of a snapshot when its blob is written, and of the parent when a clone is written', async () => {
    const { blob, model, take, write } = await ground(true);
    const before = model.slice();
    const snapshot = await blob.snapshot();
    await blob.write(write(bytes(100, 7), 1000), 1000);
    take();
    await blob.write(write(bytes(100, 8), 1050), 1050);
    expect(take()).toEqual(['writeBytes 100']);
    expectSame(await blob.read(0, model.length), model, 'clone');
    expectSame(await snapshot.read(0, before.length), before, 'snapshot');
    await expectCode(snapshot.write(bytes(100), 1000), 'EPERM');
    expect(() => snapshot.writeSync(bytes(100), 1000)).toThrow(/read-only/);
    expectSame(await snapshot.read(0, before.length), before, 'snapshot');
  });

  test('is not asked for a range that lies outside the buffers or the blob', async () => {
    const { blob, model, take } = await ground(true);
    await expectCode(blob.read(blob.sizeBytes - 5, new Uint8Array(10)), 'EINVAL');
    await expectCode(blob.write(new Uint8Array(10), blob.sizeBytes - 5), 'EINVAL');
    await expectCode(blob.write(new Uint8Array(10), 0.5), 'EINVAL');
    await expectCode(blob.write(new Uint8Array(10), -5), 'EINVAL');
    expect(take()).toEqual([]);
    expectSame(await blob.read(0, model.length), model, 'unchanged');
  });

  test('is asked once when it fails, and its error reaches the caller', async () => {
    const faulty = new FaultyDevice(new SparseMemoryDevice({ sizeBytes: 8 * MiB, blockLengthBytes: BLOCK }));
    const store = await testStore(faulty);
    const blob = await store.create({ sizeBytes: CLUSTER });
    await blob.write(bytes(CLUSTER, 1), 0);
    for (const kind of ['read', 'write'] as const) {
      const before = faulty.count(kind);
      faulty.failAt(1, { kind, times: 2 });
      const change = () => (kind === 'read' ? blob.readSync(7, new Uint8Array(9)) : blob.writeSync(bytes(9), 7));
      expect(change).toThrow(/as the test asked/);
      await expectCode(kind === 'read' ? blob.read(7, new Uint8Array(9)) : blob.write(bytes(9), 7), 'EIO');
      expect(faulty.count(kind) - before).toBe(2);
    }
    expectSame(await blob.read(0, CLUSTER), bytes(CLUSTER, 1), 'unchanged');
  });

  test('may tear a write between sectors, and no byte beside the write changes', async () => {
    const faulty = new FaultyDevice(new SparseMemoryDevice({ sizeBytes: 8 * MiB, blockLengthBytes: BLOCK }));
    const store = await testStore(faulty);
    const blob = await store.create({ sizeBytes: CLUSTER });
    const model = bytes(CLUSTER, 1);
    await blob.write(model, 0);
    faulty.tearAt(1, 2, { kind: 'write' });
    const data = bytes(2000, 9);
    await expectCode(blob.write(data, 500), 'EIO');
    model.set(data.subarray(0, 1024 - 500), 500);
    expectSame(await blob.read(0, CLUSTER), model, 'two sectors');
  });
});

describe.skipIf(isPooled)('a device that takes only blocks', () => {
  test('is asked for whole blocks', async () => {
    const { blob, model, take, write } = await ground(false);
    expectSame(blob.readSync(512, new Uint8Array(512)), model.subarray(512, 1024), 'readSync');
    expectSame(await blob.read(512, new Uint8Array(512)), model.subarray(512, 1024), 'read');
    blob.writeSync(write(bytes(10, 2), 3), 3);
    await blob.write(write(bytes(10, 3), BLOCK - 3), BLOCK - 3);
    expect(take().some((each) => each.includes('Bytes'))).toBe(false);
    await blob.read(CLUSTER - BLOCK, new Uint8Array(2 * BLOCK));
    expect(take()).toEqual(['read 8192']);
    expectSame(await blob.read(0, model.length), model, 'all');
  });
});
