/** Reading and writing of allocated blobs: bounds, scatter lists, parts, io units. */

import type { Blob } from '@blobyard/core';
import { describe, expect, it } from 'vitest';
import { CONFIGURATIONS, codeOf, codeOfLater, eachConfiguration, PER_CLUSTER, Yard } from './fixture.js';

const PAGE = 4096;

/** Divides bytes into views of the given lengths. */
function cut(bytes: Uint8Array, lengths: readonly number[]): Uint8Array[] {
  let at = 0;
  return lengths.map((length) => {
    at += length;
    return bytes.subarray(at - length, at);
  });
}

function expectBytes(found: Uint8Array, expected: Uint8Array): void {
  expect(Buffer.compare(Buffer.from(found), Buffer.from(expected))).toBe(0);
}

eachConfiguration((test) => {
  test('writes only inside a blob that can be written', (yard) => {
    const { channel } = yard;
    const blob = yard.make();
    const buffer = new Uint8Array(PAGE * 2);
    const write = (offset: number, count: number) => codeOf(() => channel.writeSync(blob, buffer, offset, count));
    expect(write(0, 1)).toBe('EINVAL'); // the blob has no clusters
    yard.resize(blob, 5);
    const end = 5 * PER_CLUSTER;
    expect(write(0, 0)).toBe('ok');
    expect(write(0, 1)).toBe('ok');
    expect(write(end - 1, 1)).toBe('ok');
    expect(write(end, 1)).toBe('EINVAL');
    expect(write(end - 1, 2)).toBe('EINVAL');
    expect(write(0, 3)).toBe('EINVAL'); // more than the buffer holds
    expect(write(-1, 1)).toBe('EINVAL');
    yard.seal(blob);
    expect(write(0, 1)).toBe('EPERM');
    expect(codeOf(() => channel.writeZeroesSync(blob, 0, 1))).toBe('EPERM');
    expect(codeOf(() => channel.unmapSync(blob, 0, 1))).toBe('EPERM');
  });

  test('reads only inside a blob, of read-only ones too', (yard) => {
    const { channel } = yard;
    const blob = yard.make();
    const buffer = new Uint8Array(PAGE * 2);
    const read = (offset: number, count: number) => codeOf(() => channel.readSync(blob, buffer, offset, count));
    expect(read(0, 1)).toBe('EINVAL');
    yard.resize(blob, 5);
    const end = 5 * PER_CLUSTER;
    expect(read(0, 0)).toBe('ok');
    expect(read(0, 1)).toBe('ok');
    expect(read(end, 1)).toBe('EINVAL');
    expect(read(end - 1, 2)).toBe('EINVAL');
    expect(read(end - 1, 1)).toBe('ok');
    yard.seal(blob);
    expect(read(0, 1)).toBe('ok');
  });

  test('reads what was written', (yard) => {
    const blob = yard.make({ clusterCount: 32 });
    yard.write(blob, 4, 10, 1);
    yard.expectContent(blob, 4, 10, 1);
    yard.expectContent(blob, 0, 4, 0);
    yard.expectContent(blob, 14, 10, 0);
    yard.write(blob, 4, 10, 2);
    yard.expectContent(blob, 4, 10, 2);
  });

  test('moves scatter lists over the boundary of clusters that are no neighbours', (yard) => {
    const { channel } = yard;
    const [blob, neighbour] = [yard.make({ clusterCount: 1 }), yard.make({ clusterCount: 1 })];
    yard.resize(blob, 2);
    expect(neighbour.clusterAt(0)).toBe(blob.clusterAt(0) + 1);
    expect(blob.clusterAt(1)).toBe(blob.clusterAt(0) + 2);
    const payload = yard.payload(5, 10);
    channel.writevSync(blob, cut(payload, [PAGE, 5 * PAGE, 0, 4 * PAGE]), 250, 10);
    yard.expectContent(blob, 250, 10, 5);
    const found = new Uint8Array(10 * PAGE).fill(0xa5);
    channel.readvSync(blob, cut(found, [3 * PAGE, 4 * PAGE, 2 * PAGE - 100, PAGE + 100]), 250, 10);
    expectBytes(found, payload);
    yard.expectContent(neighbour, 0, PER_CLUSTER, 0);
    yard.expectContent(blob, 240, 10, 0);
    yard.expectContent(blob, 260, 10, 0);
    expect(codeOf(() => channel.writevSync(blob, cut(payload, [PAGE, PAGE]), 250, 10))).toBe('EINVAL');
  });

  test(
    'takes as many requests as a channel may have, refuses more, and loses none',
    async (yard) => {
      const { store } = yard;
      const channel = store.openChannel();
      const blob = yard.make({ clusterCount: 2 });
      const payload = yard.payload(3, 4);
      await yard.later(async () => {
        for (let round = 0; round < 3; round++) {
          const gates = [yard.device.gate('write', 1), yard.device.gate('read', 1)];
          const first = channel.writev(blob, cut(payload, [PAGE, 3 * PAGE]), 254, 4); // in two parts
          const second = channel.read(blob, new Uint8Array(PAGE), 0, 1);
          expect(channel.outstanding).toBe(2);
          expect(await codeOfLater(channel.writev(blob, [payload], 254, 4))).toBe('ENOMEM');
          expect(await codeOfLater(channel.unmap(blob, 0, 1))).toBe('ENOMEM');
          expect(channel.outstanding).toBe(2);
          for (const gate of gates) gate.release();
          await Promise.all([first, second]);
          expect(channel.outstanding).toBe(0);
        }
      });
      yard.expectContent(blob, 254, 4, 3);
    },
    { store: { channelOpsMax: 2 } },
  );

  test('reads scatter lists of a read-only blob, and writes none', (yard) => {
    const { channel } = yard;
    const blob = yard.make({ clusterCount: 2 });
    yard.write(blob, 250, 10, 8);
    yard.seal(blob);
    const buffer = new Uint8Array(10 * PAGE);
    expect(codeOf(() => channel.writevSync(blob, cut(buffer, [PAGE, 9 * PAGE]), 250, 10))).toBe('EPERM');
    channel.readvSync(blob, cut(buffer, [PAGE, 9 * PAGE]), 250, 10);
    expectBytes(buffer, yard.payload(8, 10));
  });

  test(
    'gives the same for operations over five clusters as for their parts',
    (yard) => {
      const { ioUnitsPerCluster } = yard.store.geometry;
      expect(ioUnitsPerCluster).toBe(4);
      const blob = yard.make({ clusterCount: 5, thin: true });
      const total = 5 * ioUnitsPerCluster;
      const payload = yard.payload(11, total);
      yard.write(blob, 0, total, 11); // at once
      for (let at = 0; at < total; at++)
        expectBytes(yard.read(blob, at, 1), payload.subarray(at * PAGE, (at + 1) * PAGE));
      const other = yard.payload(12, total);
      for (let at = 0; at < total; at += 3) {
        const count = Math.min(3, total - at);
        yard.channel.writeSync(blob, other, at, count, at * PAGE); // in parts that cross clusters
      }
      yard.expectContent(blob, 0, total, 12);
      yard.channel.writeZeroesSync(blob, 3, 10);
      yard.expectContent(blob, 3, 10, 0);
      expectBytes(yard.read(blob, 13, 7), other.subarray(13 * PAGE));
      yard.channel.unmapSync(blob, 0, total);
      yard.expectContent(blob, 0, total, 0);
    },
    { store: { clusterBytes: 16 * 1024 } },
  );

  test(
    'gives the same for scatter lists over five clusters as for their parts',
    (yard) => {
      const { channel } = yard;
      const blob = yard.make({ clusterCount: 5, thin: true });
      const total = 20;
      const payload = yard.payload(21, total);
      const lengths = [1, 4, 2, 1, 7, 5].map((pages) => pages * PAGE);
      channel.writevSync(blob, cut(payload, lengths), 0, total);
      yard.expectContent(blob, 0, total, 21);
      const found = new Uint8Array(total * PAGE);
      for (let at = 0; at < total; at += 5)
        channel.readvSync(blob, cut(found.subarray(at * PAGE), [PAGE, 4 * PAGE]), at, 5);
      expectBytes(found, payload);
      found.fill(0);
      channel.readvSync(blob, cut(found, [...lengths].reverse()), 0, total);
      expectBytes(found, payload);
    },
    { store: { clusterBytes: 16 * 1024 } },
  );

  test(
    'works in io units of 512 bytes on thick, thin, snapshot, clone and inflated blobs',
    (yard) => {
      const { store } = yard;
      expect(store.geometry.ioUnitBytes).toBe(512);
      const perCluster = store.geometry.ioUnitsPerCluster;
      const thick = yard.make({ clusterCount: 4 });
      const thin = yard.make({ clusterCount: 4, thin: true });
      for (const blob of [thick, thin]) moveSmallUnits(yard, blob, perCluster);
      const snapshot = yard.open(yard.snapshot(thin));
      moveSmallUnits(yard, thin, perCluster);
      yard.expectContent(snapshot, 0, 1, 31);
      yard.expectContent(snapshot, perCluster - 1, 3, 33);
      const clone = yard.open(yard.clone(snapshot.id));
      yard.write(clone, perCluster, 1, 40);
      yard.expectContent(clone, perCluster - 1, 1, 33);
      yard.expectContent(clone, perCluster, 1, 40);
      yard.inflate(clone);
      yard.expectContent(clone, perCluster, 1, 40);
      yard.expectContent(clone, 0, 1, 31);
      yard.expectContent(clone, 1, 1, 32);
    },
    { blockLengthBytes: 512 },
  );
});

/** Writes, reads, zeroes and unmaps single io units and lists of them, at the ends of pages and clusters. */
function moveSmallUnits(yard: Yard, blob: Blob, perCluster: number): void {
  yard.write(blob, 0, 1, 31);
  yard.write(blob, 1, 1, 32);
  yard.write(blob, perCluster - 1, 3, 33);
  yard.expectContent(blob, 0, 1, 31);
  yard.expectContent(blob, 1, 1, 32);
  yard.expectContent(blob, 2, 6, 0);
  yard.expectContent(blob, perCluster - 1, 3, 33);
  yard.write(blob, 8, 16, 34);
  yard.channel.writeZeroesSync(blob, 9, 2);
  expectBytes(
    yard.read(blob, 8, 4),
    Buffer.concat([yard.payload(34, 1), Buffer.alloc(1024), yard.payload(34, 4).subarray(1536)]),
  );
  yard.channel.unmapSync(blob, 8, 16);
  yard.expectContent(blob, 8, 16, 0);
  const payload = yard.payload(35, 5);
  yard.channel.writevSync(blob, cut(payload, [512, 700, 1348]), 2 * perCluster - 2, 5);
  const found = new Uint8Array(5 * 512);
  yard.channel.readvSync(blob, cut(found, [100, 1948, 512]), 2 * perCluster - 2, 5);
  expectBytes(found, payload);
}

describe('a channel that is closed', () => {
  it('waits for what is under way, and then takes nothing more', async () => {
    const yard = new Yard(CONFIGURATIONS[1]);
    const channel = yard.store.openChannel();
    const blob = yard.make({ clusterCount: 1 });
    await yard.later(async () => {
      const gate = yard.device.gate('write', 1);
      const write = channel.write(blob, yard.payload(1, 1), 0, 1);
      const closing = yard.run(yard.store.closeChannel(channel));
      gate.release();
      await Promise.all([write, closing]);
      expect(await codeOfLater(channel.read(blob, new Uint8Array(PAGE), 0, 1))).toBe('EBADF');
    });
    yard.expectContent(blob, 0, 1, 1);
    yard.finish();
  });
});
