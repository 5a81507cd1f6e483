/**
 * A request of a channel is a transfer from the channel's free list. It is given back however it ends: done, failed,
 * queued and tried again, or aborted. The tests freeze blobs by their frozen count, as the operations that freeze do.
 */

import { BLOB, type Blob, Blobstore, type BlockDevice, type Channel, type ErrorCode, run } from '@blobyard/core';
import { FaultyDevice, type OperationKind, SparseMemoryDevice } from '@blobyard/io';
import { describe, expect, test } from 'vitest';

const CLUSTER_BYTES = 16_384;
const UNIT = 4096;
const PER_CLUSTER = CLUSTER_BYTES / UNIT;
const CLUSTERS = 4;

interface YardOptions {
  readonly asynchronous?: boolean;
  readonly canCopy?: boolean;
  readonly channelOpsMax?: number;
}

class Yard {
  readonly device: FaultyDevice;
  readonly store: Blobstore;
  readonly channel: Channel;

  private constructor(device: FaultyDevice, store: Blobstore) {
    this.device = device;
    this.store = store;
    this.channel = store.openChannel();
  }

  static async open({ asynchronous = false, canCopy = false, channelOpsMax }: YardOptions = {}): Promise<Yard> {
    const memory: BlockDevice = new SparseMemoryDevice({ sizeBytes: 128 * CLUSTER_BYTES, canCopy });
    const device = new FaultyDevice(memory, { asynchronous });
    const options = { clusterBytes: CLUSTER_BYTES, durability: 'process-crash', channelOpsMax } as const;
    return new Yard(device, await run(Blobstore.init(device, options)));
  }

  async make(thin = true): Promise<Blob> {
    const id = await run(this.store.createBlob({ clusterCount: CLUSTERS, thin }));
    return run(this.store.openBlob(id));
  }

  /** Makes a snapshot with all clusters filled with 1, and a clone of it. */
  async makeClone(): Promise<{ clone: Blob; snapshot: Blob }> {
    const clone = await this.make();
    await this.channel.write(clone, filled(CLUSTERS * PER_CLUSTER, 1), 0, CLUSTERS * PER_CLUSTER);
    const id = await run(this.store.createSnapshot(clone.id));
    return { clone, snapshot: await run(this.store.openBlob(id)) };
  }

  freeze(blob: Blob): void {
    this.store.shared.blobs.add(blob.slot, BLOB.FROZEN, 1);
  }

  thaw(blob: Blob): void {
    this.store.shared.blobs.add(blob.slot, BLOB.FROZEN, -1);
    this.channel.thaw(blob.slot);
  }

  async read(blob: Blob, offset: number, count: number): Promise<Uint8Array> {
    const buffer = new Uint8Array(count * UNIT).fill(0xa5);
    await this.channel.read(blob, buffer, offset, count);
    return buffer;
  }

  /** Expects that nothing is under way: all transfers are in the free list, and the channel is in none of the blobs. */
  expectAllGivenBack(...blobs: Blob[]): void {
    const { outstanding, frozenDepth, transfers } = this.channel;
    expect({ outstanding, frozenDepth }).toEqual({ outstanding: 0, frozenDepth: 0 });
    expect(transfers.free).toBe(transfers.made);
    for (const { slot } of blobs) expect(this.store.shared.channels.isDrained(slot)).toBe(true);
  }

  isOutside({ slot }: Blob): boolean {
    return this.store.shared.channels.isDrained(slot);
  }
}

function filled(units: number, value: number): Uint8Array {
  return new Uint8Array(units * UNIT).fill(value);
}

/** The value of each io unit. Expects all bytes of an io unit to be the same. */
function valuesOf(bytes: Uint8Array): number[] {
  return Array.from({ length: bytes.length / UNIT }, (_, unit) => {
    const value = bytes[unit * UNIT];
    expect(bytes.subarray(unit * UNIT, (unit + 1) * UNIT).every((byte) => byte === value)).toBe(true);
    return value;
  });
}

async function codeOf(operation: () => unknown): Promise<ErrorCode | 'ok'> {
  try {
    await operation();
    return 'ok';
  } catch (error) {
    return (error as { code: ErrorCode }).code;
  }
}

/** The range of each operation, in io units: the end of a cluster, a whole one, and the begin of another. */
const [FROM, COUNT] = [PER_CLUSTER - 1, PER_CLUSTER + 2];
/** The same range in bytes, without its first and its last byte. */
const BYTES = [FROM * UNIT + 1, COUNT * UNIT - 2] as const;
const OPERATIONS = {
  read: (channel: Channel, blob: Blob) => channel.read(blob, filled(COUNT, 0), FROM, COUNT),
  readv: (channel: Channel, blob: Blob) => channel.readv(blob, [filled(2, 0), filled(COUNT - 2, 0)], FROM, COUNT),
  write: (channel: Channel, blob: Blob) => channel.write(blob, filled(COUNT, 2), FROM, COUNT),
  writev: (channel: Channel, blob: Blob) => channel.writev(blob, [filled(2, 2), filled(COUNT - 2, 2)], FROM, COUNT),
  writeZeroes: (channel: Channel, blob: Blob) => channel.writeZeroes(blob, FROM, COUNT),
  unmap: (channel: Channel, blob: Blob) => channel.unmap(blob, FROM, COUNT),
  readBytes: (channel: Channel, blob: Blob) => channel.readBytes(blob, filled(COUNT, 0), ...BYTES),
  writeBytes: (channel: Channel, blob: Blob) => channel.writeBytes(blob, filled(COUNT, 2), ...BYTES),
  readBytesSync: (channel: Channel, blob: Blob) => channel.readBytesSync(blob, filled(COUNT, 0), ...BYTES),
  writeBytesSync: (channel: Channel, blob: Blob) => channel.writeBytesSync(blob, filled(COUNT, 2), ...BYTES),
  readSync: (channel: Channel, blob: Blob) => channel.readSync(blob, filled(COUNT, 0), FROM, COUNT),
  readvSync: (channel: Channel, blob: Blob) =>
    channel.readvSync(blob, [filled(2, 0), filled(COUNT - 2, 0)], FROM, COUNT),
  writeSync: (channel: Channel, blob: Blob) => channel.writeSync(blob, filled(COUNT, 2), FROM, COUNT),
  writevSync: (channel: Channel, blob: Blob) =>
    channel.writevSync(blob, [filled(2, 2), filled(COUNT - 2, 2)], FROM, COUNT),
  writeZeroesSync: (channel: Channel, blob: Blob) => channel.writeZeroesSync(blob, FROM, COUNT),
  unmapSync: (channel: Channel, blob: Blob) => channel.unmapSync(blob, FROM, COUNT),
} as const;
type Name = keyof typeof OPERATIONS;
const NAMES = Object.keys(OPERATIONS) as Name[];
const isSync = (name: Name) => name.endsWith('Sync');

describe.each([{ asynchronous: false }, { asynchronous: true }])('asynchronous: $asynchronous', ({ asynchronous }) => {
  test('requests of several parts queue at a frozen blob, and run in order once it is thawed', async () => {
    const yard = await Yard.open({ asynchronous });
    const blob = await yard.make();
    const { channel } = yard;
    for (let round = 0; round < 2; round++) {
      yard.freeze(blob);
      const requests = [
        channel.write(blob, filled(5, 2), 1, 5),
        channel.writev(blob, [filled(3, 3), filled(3, 3)], 6, 6),
        channel.write(blob, filled(2, 4), 12, 2),
        channel.writeZeroes(blob, 13, 1),
        channel.write(blob, filled(1, 5), 12, 1), // the last three are in one cluster, one over the other
      ];
      expect([channel.outstanding, channel.frozenDepth]).toEqual([5, 5]);
      expect(channel.transfers).toEqual({ made: 5, free: 0 });
      expect(yard.isOutside(blob)).toBe(true);
      yard.thaw(blob);
      await Promise.all(requests);
      yard.expectAllGivenBack(blob);
      expect(valuesOf(await yard.read(blob, 0, 14))).toEqual([0, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 5, 0]);
      expect(channel.transfers).toEqual({ made: 5, free: 5 });
    }
  });

  test.each(['first', 'later'])('a request waits for a frozen snapshot in its %s part', async (which) => {
    const yard = await Yard.open({ asynchronous });
    const { clone, snapshot } = await yard.makeClone();
    const { channel } = yard;
    if (which === 'later') await channel.write(clone, filled(PER_CLUSTER, 1), 0, PER_CLUSTER);
    const from = PER_CLUSTER - 1;
    yard.freeze(snapshot);
    const buffer = filled(PER_CLUSTER + 2, 0);
    const reading = channel.read(clone, buffer, from, PER_CLUSTER + 2);
    const scattered = [filled(1, 0), filled(PER_CLUSTER + 1, 0)];
    const readingToo = channel.readv(clone, scattered, from, PER_CLUSTER + 2);
    const writing = channel.write(clone, filled(2, 5), 2 * PER_CLUSTER - 1, 2);
    while (channel.frozenDepth < 3) await new Promise((resolve) => setImmediate(resolve));
    expect(channel.outstanding).toBe(3);
    expect(yard.isOutside(clone)).toBe(true); // the thread that freezes the snapshot may wait for this counter
    yard.thaw(snapshot);
    await Promise.all([reading, readingToo, writing]);
    yard.expectAllGivenBack(clone, snapshot);
    const units = valuesOf(buffer);
    expect(units.slice(0, -2)).toEqual(Array.from({ length: PER_CLUSTER }, () => 1));
    expect(valuesOf(await yard.read(clone, 0, 3 * PER_CLUSTER))).toEqual([1, 1, 1, 1, 1, 1, 1, 5, 5, 1, 1, 1]);
    expect(valuesOf(await yard.read(snapshot, 0, 3 * PER_CLUSTER)).every((value) => value === 1)).toBe(true);
    expect(channel.transfers.made).toBe(3);
  });

  test('a channel that is closed aborts the transfers that queue, and no thaw runs them', async () => {
    const yard = await Yard.open({ asynchronous });
    const { clone, snapshot } = await yard.makeClone();
    const { channel } = yard;
    yard.freeze(clone);
    const queued = [
      codeOf(() => channel.write(clone, filled(COUNT, 2), FROM, COUNT)),
      codeOf(() => channel.unmap(clone, FROM, COUNT)),
      codeOf(() => channel.read(clone, filled(COUNT, 2), FROM, COUNT)),
    ];
    expect(channel.frozenDepth).toBe(3);
    await run(yard.store.closeChannel(channel));
    expect(await Promise.all(queued)).toEqual(['EIO', 'EIO', 'EIO']);
    yard.thaw(clone);
    yard.expectAllGivenBack(clone, snapshot);
    expect(await codeOf(() => channel.read(clone, filled(1, 0), 0, 1))).toBe('EBADF');
    const other = yard.store.openChannel();
    const found = filled(COUNT, 0);
    await other.read(clone, found, FROM, COUNT);
    expect(valuesOf(found).every((value) => value === 1)).toBe(true);
  });
});

describe('all transfers are given back if the device fails', () => {
  /** Blobs for which operations run different code. */
  const SCENES = {
    allocated: async (yard: Yard) => {
      const blob = await yard.make(false);
      await yard.channel.write(blob, filled(CLUSTERS * PER_CLUSTER, 1), 0, CLUSTERS * PER_CLUSTER);
      return blob;
    },
    'thin and written': async (yard: Yard) => {
      const blob = await yard.make();
      await yard.channel.write(blob, filled(CLUSTERS * PER_CLUSTER, 1), 0, CLUSTERS * PER_CLUSTER);
      return blob;
    },
    'thin and empty': (yard: Yard) => yard.make(),
    clone: async (yard: Yard) => (await yard.makeClone()).clone,
  } as const;
  const CASES = NAMES.flatMap((name) =>
    [false, true]
      .filter((asynchronous) => !(asynchronous && isSync(name)))
      .map((asynchronous) => ({ name, asynchronous })),
  );

  test.each(CASES)('in any operation of $name (asynchronous: $asynchronous)', async ({ name, asynchronous }) => {
    let failures = 0;
    for (const scene of Object.values(SCENES)) {
      for (const canCopy of [false, true]) {
        let hasFailed = true;
        for (let k = 1; hasFailed; k++) {
          const yard = await Yard.open({ asynchronous, canCopy });
          const blob = await scene(yard);
          const before = yard.channel.transfers;
          yard.device.failAt(k);
          hasFailed = (await codeOf(() => OPERATIONS[name](yard.channel, blob))) !== 'ok';
          yard.device.clearFaults();
          if (hasFailed) failures++;
          yard.expectAllGivenBack(blob);
          expect(yard.channel.transfers.made).toBe(Math.max(before.made, 1));
          expect(await codeOf(() => OPERATIONS[name](yard.channel, blob))).toBe('ok');
          yard.expectAllGivenBack(blob);
        }
      }
    }
    expect(failures).toBeGreaterThan(0);
  });
});

describe('a request that is refused', () => {
  test.each(NAMES.filter(isSync))('%s of a frozen blob fails with EBUSY on the metadata thread', async (name) => {
    const yard = await Yard.open();
    const { clone, snapshot } = await yard.makeClone();
    for (const blob of [clone, snapshot]) {
      const isBehind = blob === snapshot;
      if (isBehind && name === 'unmapSync') continue; // the clone has no cluster to unmap, so its snapshot is not needed
      yard.freeze(blob);
      expect(await codeOf(() => OPERATIONS[name](yard.channel, clone))).toBe('EBUSY');
      yard.expectAllGivenBack(clone, snapshot);
      yard.thaw(blob);
    }
    expect(await codeOf(() => OPERATIONS[name](yard.channel, clone))).toBe('ok');
    expect(yard.channel.transfers).toEqual({ made: 1, free: 1 });
  });

  test('unmapSync that would have to wait for another thread fails with EBUSY', async () => {
    const yard = await Yard.open();
    const blob = await yard.make();
    await yard.channel.write(blob, filled(COUNT, 2), FROM, COUNT);
    const { channels } = yard.store.shared;
    const row = channels.claim(1);
    channels.counters(row).enter(blob.slot);
    expect(await codeOf(() => yard.channel.unmapSync(blob, FROM, COUNT))).toBe('EBUSY');
    channels.counters(row).leave(blob.slot);
    yard.expectAllGivenBack(blob);
    expect(await codeOf(() => yard.channel.unmapSync(blob, FROM, COUNT))).toBe('ok');
  });

  test.each(NAMES.filter(isSync))('%s on an asynchronous device makes no transfer', async (name) => {
    const yard = await Yard.open({ asynchronous: true });
    const blob = await yard.make();
    expect(await codeOf(() => OPERATIONS[name](yard.channel, blob))).toBe('ENOTSUP');
    expect(yard.channel.transfers).toEqual({ made: 0, free: 0 });
  });

  test('requests with wrong arguments, and past the limit of the channel, make no transfer', async () => {
    const yard = await Yard.open({ asynchronous: true, channelOpsMax: 2 });
    const blob = await yard.make(false);
    const { channel } = yard;
    for (const [offset, count] of [
      [-1, 1],
      [0, 1.5],
      [0, CLUSTERS * PER_CLUSTER + 1],
    ] as const) {
      expect(await codeOf(() => channel.writeZeroes(blob, offset, count))).toBe('EINVAL');
    }
    expect(channel.transfers).toEqual({ made: 0, free: 0 });
    const kind: OperationKind = 'write';
    const gates = [yard.device.gate(kind, 1), yard.device.gate(kind, 2)];
    const writes = [channel.write(blob, filled(COUNT, 2), FROM, COUNT), channel.write(blob, filled(1, 3), 0, 1)];
    expect(await codeOf(() => OPERATIONS.write(channel, blob))).toBe('ENOMEM');
    expect(channel.transfers).toEqual({ made: 2, free: 0 });
    for (const gate of gates) gate.release();
    await Promise.all(writes);
    yard.expectAllGivenBack(blob);
  });
});

test('200,000 requests by the general path, one after the other, create one transfer', async () => {
  const yard = await Yard.open();
  const blob = await yard.make();
  const buffer = filled(2, 1);
  for (let request = 0; request < 100_000; request++) {
    yard.channel.writeSync(blob, buffer, PER_CLUSTER - 1, 2);
    yard.channel.readSync(blob, buffer, PER_CLUSTER - 1, 2);
  }
  for (let request = 0; request < 1000; request++) await yard.channel.read(blob, buffer, PER_CLUSTER - 1, 2);
  expect(yard.channel.transfers).toEqual({ made: 1, free: 1 });
});

describe('after a thaw, queued operations run in slices:', () => {
  const COUNT = 200;
  /** The most operations that begin in one turn of the event loop. */
  const SLICE = 32;
  /** A thawed blob with queued writes of 1, 2, … to the same io unit, and the list of those that have ended. */
  async function thawed() {
    const yard = await Yard.open({ channelOpsMax: 1000 });
    const blob = await yard.make(false);
    const ended: number[] = [];
    const write = async (value: number) => {
      await yard.channel.write(blob, filled(1, value), 0, 1);
      ended.push(value);
    };
    yard.freeze(blob);
    const writes = Array.from({ length: COUNT }, (_, at) => write(at + 1));
    yard.thaw(blob);
    await Promise.resolve();
    const first = COUNT - yard.channel.frozenDepth;
    return { yard, blob, ended, write, writes, first };
  }

  test('the event loop turns between slices, and the order of the operations stays', async () => {
    const { yard, blob, ended, writes, first } = await thawed();
    expect(first).toBe(SLICE);
    let turns = 0;
    while (yard.channel.frozenDepth > 0) {
      const before = yard.channel.frozenDepth;
      await new Promise((resolve) => setImmediate(resolve));
      turns++;
      expect(before - yard.channel.frozenDepth).toBeLessThanOrEqual(SLICE);
    }
    expect(turns).toBeGreaterThanOrEqual(COUNT / SLICE - 1);
    await Promise.all(writes);
    expect(ended).toEqual(Array.from({ length: COUNT }, (_, at) => at + 1));
    expect((await yard.read(blob, 0, 1))[0]).toBe(COUNT);
    yard.expectAllGivenBack(blob);
  });

  test('a later operation is executed after all of them', async () => {
    const { yard, blob, ended, write, writes } = await thawed();
    const later = write(255);
    expect(yard.channel.tryWriteNow(blob, filled(1, 9), 0, 1)).toBe(false);
    await Promise.all([...writes, later]);
    expect(ended.at(-1)).toBe(255);
    expect((await yard.read(blob, 0, 1))[0]).toBe(255);
    yard.expectAllGivenBack(blob);
  });

  test('a synchronous operation first runs all of them', async () => {
    const { yard, blob, writes } = await thawed();
    const buffer = new Uint8Array(UNIT);
    yard.channel.readSync(blob, buffer, 0, 1);
    expect([buffer[0], yard.channel.frozenDepth]).toEqual([COUNT, 0]);
    await Promise.all(writes);
    yard.expectAllGivenBack(blob);
  });

  test('a blob that is frozen again keeps the rest waiting', async () => {
    const { yard, blob, ended, writes } = await thawed();
    yard.freeze(blob);
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
    const before = ended.length;
    expect(before).toBeLessThan(COUNT);
    yard.thaw(blob);
    await Promise.all(writes);
    expect(ended).toEqual(Array.from({ length: COUNT }, (_, at) => at + 1));
    yard.expectAllGivenBack(blob);
  });

  test('closing the channel aborts those that have not begun', async () => {
    const { yard, writes } = await thawed();
    const outcomes = Promise.allSettled(writes);
    await run(yard.store.closeChannel(yard.channel));
    const failed = (await outcomes).filter(({ status }) => status === 'rejected');
    expect(failed.length).toBeGreaterThan(COUNT / 2);
    for (const outcome of failed) expect(outcome).toMatchObject({ reason: { code: 'EIO' } });
  });

  test('a write of a clone does not overtake an earlier one that waits for the snapshot', async () => {
    const yard = await Yard.open({ channelOpsMax: 1000 });
    const { clone, snapshot } = await yard.makeClone();
    yard.freeze(snapshot);
    const reads = Array.from({ length: COUNT }, (_, at) => yard.read(snapshot, at % CLUSTERS, 1));
    const write = (value: number) => yard.channel.write(clone, filled(1, value), 0, 1);
    const earlier = write(100); // it copies from the snapshot
    await new Promise((resolve) => setImmediate(resolve));
    expect(yard.channel.frozenDepth).toBe(COUNT + 1);
    yard.thaw(snapshot);
    expect(yard.channel.frozenDepth).toBeGreaterThan(COUNT / 2);
    const later = write(255);
    await Promise.all([...reads, earlier, later]);
    expect((await yard.read(clone, 0, 1))[0]).toBe(255);
    yard.expectAllGivenBack(clone, snapshot);
  });
});

test('writes to a cluster that is being allocated take effect in order, whenever a later one comes', async () => {
  const yard = await Yard.open({ asynchronous: true });
  for (let delay = 0; delay < 40; delay++) {
    const blob = await yard.make();
    const writes: Promise<void>[] = [];
    for (let value = 1; value <= 6; value++) {
      writes.push(yard.channel.write(blob, filled(1, value), 0, 1));
      for (let ticks = 0; value > 2 && ticks < delay; ticks++) await undefined;
    }
    await Promise.all(writes);
    expect([delay, (await yard.read(blob, 0, 1))[0]]).toEqual([delay, 6]);
    yard.expectAllGivenBack(blob);
  }
});

test('a synchronous write that would have to wait for an allocation of its own thread does not stop those behind it', async () => {
  const image = SparseMemoryDevice.fromBytes(filled(CLUSTERS * PER_CLUSTER, 9));
  const openExternalSnapshot = () => new FaultyDevice(image, { asynchronous: true });
  const device = new SparseMemoryDevice({ sizeBytes: 128 * CLUSTER_BYTES });
  const store = await run(Blobstore.init(device, { clusterBytes: CLUSTER_BYTES, openExternalSnapshot }));
  const externalSnapshotId = Uint8Array.of(1);
  const id = await run(store.createBlob({ clusterCount: CLUSTERS, thin: true, externalSnapshotId }));
  const blob = await run(store.openBlob(id));
  const channel = store.openChannel();
  const first = channel.write(blob, filled(1, 1), 0, 1); // it copies the cluster, and waits for the external snapshot
  const second = channel.write(blob, filled(1, 2), 1, 1);
  const wouldWait = expect.objectContaining({ code: 'EBUSY', message: expect.stringMatching(/promise form/) });
  expect(() => channel.writeSync(blob, filled(1, 3), 0, 1)).toThrow(wouldWait);
  expect(() => channel.writeZeroesSync(blob, 1, 1)).toThrow(wouldWait);
  await Promise.all([first, second, channel.write(blob, filled(1, 4), 2, 1)]);
  const buffer = filled(PER_CLUSTER, 0);
  await channel.read(blob, buffer, 0, PER_CLUSTER);
  expect(valuesOf(buffer)).toEqual([1, 2, 4, 9]);
  await run(store.createSnapshot(id)); // its freeze waits until nobody is inside the blob
});

test('a negative offset is refused, and no blob changes', async () => {
  const yard = await Yard.open();
  const blobs = [await yard.make(), await yard.make(), await yard.make()];
  for (const [at, blob] of blobs.entries()) {
    await yard.channel.write(blob, filled(CLUSTERS * PER_CLUSTER, at + 1), 0, CLUSTERS * PER_CLUSTER);
  }
  const [, blob] = blobs;
  const invalid = expect.objectContaining({ code: 'EINVAL' });
  for (const offset of [-1, -PER_CLUSTER, -PER_CLUSTER * 512, -0.5, Number.NaN, Number.NEGATIVE_INFINITY, -(2 ** 40)]) {
    for (const count of [1, PER_CLUSTER, 2 * PER_CLUSTER]) {
      const buffer = filled(count, 9);
      expect(() => yard.channel.writeSync(blob, buffer, offset, count)).toThrow(invalid);
      expect(() => yard.channel.readSync(blob, buffer, offset, count)).toThrow(invalid);
      await expect(yard.channel.write(blob, buffer, offset, count)).rejects.toThrow(invalid);
      expect(yard.channel.tryWriteNow(blob, buffer, offset, count)).toBe(false);
      expect(buffer.every((byte) => byte === 9)).toBe(true);
    }
  }
  for (const [at, each] of blobs.entries()) {
    const read = await yard.read(each, 0, CLUSTERS * PER_CLUSTER);
    expect(read.every((byte) => byte === at + 1)).toBe(true);
  }
});
