/** Clones of external snapshots: their data, the clone after a snapshot or a deletion, and the use of their devices. */

import { INVALID_BLOB_ID } from '@blobyard/core';
import { expect } from 'vitest';
import { ExternalDevice, ExternalSource } from './external-source.js';
import { codeOf, codeOfLater, eachConfiguration, isSettled, type Yard, type YardTest } from './fixture.js';

const CLUSTER_BYTES = 16 * 1024;
const PER_CLUSTER = 4;
const EXTERNAL_CLUSTERS = 8;

/** A test on a store that opens external snapshots of eight clusters. */
type ExternalTest = (name: string, body: (yard: Yard, source: ExternalSource) => void | Promise<void>) => void;

function onExternalStore(test: YardTest): ExternalTest {
  return (name, body) => {
    const source = new ExternalSource(EXTERNAL_CLUSTERS * CLUSTER_BYTES);
    const store = { clusterBytes: CLUSTER_BYTES, openExternalSnapshot: source.open };
    test(
      name,
      async (yard) => {
        await body(yard, source);
        yard.finish();
        expect(source.openCount, 'external devices left open').toBe(0);
        expect(source.opened.every(({ closed, openChannels }) => closed === 1 && openChannels === 0)).toBe(true);
      },
      { store },
    );
  };
}

function makeClone(yard: Yard, seed = 7) {
  return yard.make({ clusterCount: EXTERNAL_CLUSTERS, externalSnapshotId: Uint8Array.of(seed, 1, 2) });
}

/** Expects that io units have the same data as the external device with a seed. */
function expectExternal(yard: Yard, blob: ReturnType<typeof makeClone>, offset: number, count: number, seed = 7): void {
  const bytes = new ExternalDevice(seed, EXTERNAL_CLUSTERS * CLUSTER_BYTES, 4096).bytes;
  const expected = Buffer.from(bytes.subarray(offset * 4096, (offset + count) * 4096));
  expect(expected.compare(Buffer.from(yard.read(blob, offset, count))), 'reads as the external snapshot').toBe(0);
}

eachConfiguration((test) => {
  const external = onExternalStore(test);

  external('creates clones of external snapshots, which need the callback that opens these', (yard, source) => {
    expect(codeOf(() => yard.create({ externalSnapshotId: new Uint8Array(0) }))).toBe('EINVAL');
    const blob = yard.make({ externalSnapshotId: Uint8Array.of(7, 1, 2) });
    expect([blob.isThin, blob.isClone, blob.isExternalClone, blob.clusterCount]).toEqual([true, false, true, 0]);
    expect(yard.store.parentOf(blob.id)).toBe(INVALID_BLOB_ID);
    expect([...(yard.store.externalSnapshotId(blob) ?? [])]).toEqual([7, 1, 2]);
    yard.resize(blob, 2);
    yard.sync(blob);
    yard.resize(blob, EXTERNAL_CLUSTERS);
    expect(blob.map.allocatedCount).toBe(0);
    yard.closeAll();
    yard.unload();
    yard.load({ externalContext: 'of the store' });
    const again = yard.adopt(yard.do(yard.store.openBlob(blob.id, { externalContext: 'of the blob' })));
    const request = source.requests.at(-1);
    expect([request?.storeContext, request?.blobContext]).toEqual(['of the store', 'of the blob']);
    expect([request?.blobId, [...(request?.snapshotId ?? [])]]).toEqual([blob.id, [7, 1, 2]]);
    expect(again.clusterCount).toBe(EXTERNAL_CLUSTERS);
    expectExternal(yard, again, 0, EXTERNAL_CLUSTERS * PER_CLUSTER);
    const opened = source.opened.length;
    yard.closeAll();
    yard.unload();
    yard.load({ openExternalSnapshot: undefined });
    expect(yard.store.damaged.map(({ id, error }) => [id, error.code])).toEqual([[blob.id, 'ENOTSUP']]);
    expect(codeOf(() => yard.open(blob.id))).toBe('ENOTSUP');
    expect(source.opened.length).toBe(opened);
    yard.unload();
    yard.load();
    expectExternal(yard, yard.open(blob.id), 0, 3);
  });

  external(
    'opens channels to an external snapshot when they are first needed, and closes them with channel and blob',
    (yard, source) => {
      const { store } = yard;
      const blob = makeClone(yard);
      const device = source.last;
      const channels = [store.openChannel(), store.openChannel()];
      const buffer = new Uint8Array(4096);
      expect(device.openChannels).toBe(0);
      channels[0].readSync(blob, buffer, 0, 1);
      expect(device.openChannels).toBe(1);
      channels[0].readSync(blob, buffer, 9, 1);
      expect(device.openChannels).toBe(1);
      channels[1].readSync(blob, buffer, 0, 1);
      expect(device.openChannels).toBe(2);
      yard.do(store.closeChannel(channels[0]));
      expect(device.openChannels).toBe(1);
      yard.close(blob);
      expect([device.openChannels, device.closed]).toEqual([0, 1]);
      const again = yard.open(blob.id);
      channels[1].readSync(again, buffer, 0, 1);
      expect([device.openChannels, source.last.openChannels]).toEqual([0, 1]);
    },
  );

  external('makes the snapshot of an external clone the external clone, and hands that on', (yard) => {
    const { store } = yard;
    const blob = makeClone(yard);
    yard.write(blob, 0, 1, 1);
    const snapshot = yard.open(yard.snapshot(blob));
    expect([snapshot.isExternalClone, snapshot.isClone, blob.isExternalClone, blob.isClone]).toEqual([
      true,
      false,
      false,
      true,
    ]);
    expect(store.parentOf(blob.id)).toBe(snapshot.id);
    expect(store.externalSnapshotId(blob)).toBeUndefined();
    expect([...(store.externalSnapshotId(snapshot) ?? [])]).toEqual([7, 1, 2]);
    expectExternal(yard, blob, 1, 20);
    expectExternal(yard, snapshot, 1, 20);
    const clone = yard.open(yard.clone(snapshot.id));
    yard.write(clone, 5, 1, 3);
    expectExternal(yard, clone, 6, 20);
    yard.expectContent(clone, 0, 1, 1);
    yard.close(clone, snapshot);
    yard.delete(clone.id);
    yard.delete(snapshot.id); // the blob takes over the snapshot's clusters, and its external snapshot
    expect([blob.isExternalClone, blob.isClone]).toEqual([true, false]);
    expect([...(store.externalSnapshotId(blob) ?? [])]).toEqual([7, 1, 2]);
    yard.expectContent(blob, 0, 1, 1);
    expectExternal(yard, blob, 1, 20);
    yard.reload();
    const again = yard.open(blob.id);
    expect(again.isExternalClone).toBe(true);
    yard.expectContent(again, 0, 1, 1);
    expectExternal(yard, again, 1, 20);
  });

  external('makes an inflated external clone independent', (yard, source) => {
    const blob = makeClone(yard);
    yard.write(blob, 6, 2, 9);
    yard.inflate(blob);
    expect([blob.isExternalClone, blob.isThin, blob.map.allocatedCount]).toEqual([false, false, EXTERNAL_CLUSTERS]);
    expect(source.openCount).toBe(0);
    const check = (found: typeof blob) => {
      expectExternal(yard, found, 0, 6);
      yard.expectContent(found, 6, 2, 9);
      expectExternal(yard, found, 8, 24);
    };
    check(blob);
    const opened = source.opened.length;
    yard.closeAll();
    yard.unload();
    yard.load({ openExternalSnapshot: undefined });
    check(yard.open(blob.id));
    expect(source.opened.length).toBe(opened);
  });

  external('inflates an external clone that is to be decoupled', (yard, source) => {
    const blob = makeClone(yard);
    yard.write(blob, 6, 2, 9);
    yard.decouple(blob);
    expect([blob.isExternalClone, blob.isThin, blob.map.allocatedCount]).toEqual([false, false, EXTERNAL_CLUSTERS]);
    expect(source.openCount).toBe(0);
    expectExternal(yard, blob, 8, 24);
    yard.expectContent(blob, 6, 2, 9);
    expect(codeOf(() => yard.decouple(blob))).toBe('EINVAL');
  });

  external('finds external clone, its snapshot and its clone again after a reload', (yard, source) => {
    const blob = makeClone(yard);
    const snapshot = yard.snapshot(blob);
    const clone = yard.clone(snapshot);
    const check = () => {
      expect([...yard.store.clonesOf(snapshot)].sort()).toEqual([blob.id, clone].sort());
      expect(yard.store.parentOf(snapshot)).toBe(INVALID_BLOB_ID);
      expect(yard.open(snapshot).isExternalClone).toBe(true);
      for (const id of [blob.id, snapshot, clone]) expectExternal(yard, yard.open(id), 3, 9);
      expect(source.openCount).toBe(1); // the clones share the device of the snapshot
    };
    check();
    yard.reload();
    check();
    yard.closeAll();
    yard.crash();
    check();
  });

  external(
    'ends reads of an external snapshot before the blob, the channel and the store close',
    async (yard, source) => {
      const { store } = yard;
      const blob = makeClone(yard);
      const device = source.last;
      const channel = store.openChannel();
      const buffer = new Uint8Array(4096);
      device.isLater = true;
      await yard.later(async () => {
        const gate = device.gate('read', 1);
        const read = channel.read(blob, buffer, 2, 1);
        await gate.reached;
        const closing = yard.run(store.closeBlob(blob));
        const second = channel.read(blob, new Uint8Array(4096), 3, 1); // begins while the blob is being closed
        expect(await isSettled(closing)).toBe(false);
        expect([device.openChannels, device.closed]).toEqual([1, 0]);
        gate.release();
        await read;
        await closing;
        expect(await codeOfLater(second)).toBe('EBADF');
        expect([device.openChannels, device.closed]).toEqual([0, 1]);
      });
      expect(Buffer.from(buffer).equals(Buffer.from(device.bytes.subarray(2 * 4096, 3 * 4096)))).toBe(true);
      yard.forgetRef(blob);
      yard.reload();
      expectExternal(yard, yard.open(blob.id), 2, 1);
    },
  );

  external('waits with unloading for channels that still have something under way', async (yard, source) => {
    const { store } = yard;
    const blob = makeClone(yard);
    const channel = store.openChannel();
    const device = source.last;
    device.isLater = true;
    await yard.later(async () => {
      const gate = device.gate('read', 1);
      const read = channel.read(blob, new Uint8Array(4096), 2, 1);
      await gate.reached;
      const abandoning = yard.run(store.abandon());
      expect(await isSettled(abandoning)).toBe(false);
      expect(device.closed).toBe(0);
      gate.release();
      await Promise.all([read, abandoning]);
      expect([device.openChannels, device.closed]).toEqual([0, 1]);
    });
    yard.crash();
    expectExternal(yard, yard.open(blob.id), 2, 1);
  });

  external(
    'replaces the device of an external clone, with and without channels, while it is in use',
    async (yard, source) => {
      const { store } = yard;
      const blob = makeClone(yard);
      const thick = yard.make({ clusterCount: 1 });
      const bytes = EXTERNAL_CLUSTERS * CLUSTER_BYTES;
      const [second, third, odd] = [
        new ExternalDevice(8, bytes, 4096),
        new ExternalDevice(9, bytes, 512),
        new ExternalDevice(9, bytes, 8192),
      ];
      expect(codeOf(() => yard.do(store.setExternalDevice(thick, second)))).toBe('EINVAL');
      expect(codeOf(() => yard.do(store.setExternalDevice(blob, odd)))).toBe('EINVAL');
      expect(odd.closed).toBe(0);
      yard.do(store.setExternalDevice(blob, second)); // no channel has used the first
      expect([source.last.closed, store.externalDevice(blob)]).toEqual([1, second]);
      expectExternal(yard, blob, 3, 5, 8);
      expect(second.openChannels).toBe(1);
      const channel = store.openChannel();
      const buffer = new Uint8Array(4096);
      second.isLater = true;
      await yard.later(async () => {
        const gate = second.gate('read', 1);
        const read = channel.read(blob, buffer, 2, 1);
        await gate.reached;
        const replacing = yard.run(store.setExternalDevice(blob, third));
        const queued = new Uint8Array(4096);
        const later = channel.read(blob, queued, 2, 1); // waits for the new device
        expect(await isSettled(replacing)).toBe(false);
        expect(second.closed).toBe(0);
        gate.release();
        await Promise.all([read, replacing, later]);
        expect(Buffer.from(buffer).equals(Buffer.from(second.bytes.subarray(8192, 12288)))).toBe(true);
        expect(Buffer.from(queued).equals(Buffer.from(third.bytes.subarray(8192, 12288)))).toBe(true);
      });
      expect([second.openChannels, second.closed, third.closed]).toEqual([0, 1, 0]);
      expectExternal(yard, blob, 0, 32, 9);
      yard.close(blob);
      expect([third.openChannels, third.closed]).toEqual([0, 1]);
    },
  );

  external('opens a clone whose external snapshot is missing, and takes one later', (yard) => {
    const blob = makeClone(yard);
    yard.write(blob, 0, PER_CLUSTER, 2);
    yard.closeAll();
    yard.unload();
    const { store } = { store: yard.load({ openExternalSnapshot: () => null }) };
    const again = yard.open(blob.id);
    yard.expectContent(again, 0, PER_CLUSTER, 2); // the blob's own cluster
    expect(codeOf(() => yard.read(again, PER_CLUSTER, 1))).toBe('EIO');
    const free = store.freeClusterCount;
    expect(codeOf(() => yard.write(again, PER_CLUSTER, 1, 3))).toBe('EIO');
    expect(store.freeClusterCount).toBe(free);
    const device = new ExternalDevice(7, EXTERNAL_CLUSTERS * CLUSTER_BYTES, 4096);
    yard.do(store.setExternalDevice(again, device));
    expectExternal(yard, again, PER_CLUSTER, 8);
  });

  external('is degraded when its own device is, or what is behind the blob', (yard, source) => {
    const { store } = yard;
    const [blob, plain] = [makeClone(yard), yard.make({ clusterCount: 1 })];
    const clone = yard.open(yard.clone(yard.snapshot(blob)));
    const degraded = () => [blob, clone, plain].map((each) => store.isDegraded(each));
    expect(degraded()).toEqual([false, false, false]);
    source.last.degraded = true;
    expect(degraded()).toEqual([true, true, false]);
    yard.recorder.degraded = true;
    expect(degraded()).toEqual([true, true, true]);
    source.last.degraded = false;
    expect(degraded()).toEqual([true, true, true]);
    yard.recorder.degraded = false;
    expect(degraded()).toEqual([false, false, false]);
  });

  external(
    'reads and writes the old part of an external clone that has outgrown its snapshot, and says EIO of the new',
    (yard) => {
      const { store } = yard;
      const blob = makeClone(yard);
      yard.resize(blob, EXTERNAL_CLUSTERS + 2);
      yard.sync(blob);
      const end = EXTERNAL_CLUSTERS * PER_CLUSTER;
      expectExternal(yard, blob, 0, end);
      const free = store.freeClusterCount;
      expect(codeOf(() => yard.read(blob, end, 1))).toBe('EIO');
      expect(codeOf(() => yard.write(blob, end + 1, 1, 3))).toBe('EIO'); // the rest of the cluster cannot be read
      expect(store.freeClusterCount).toBe(free);
      yard.write(blob, end - 1, 1, 4);
      yard.expectContent(blob, end - 1, 1, 4);
      expectExternal(yard, blob, 0, end - 1);
      yard.resize(blob, EXTERNAL_CLUSTERS);
      yard.inflate(blob);
      expectExternal(yard, blob, 0, end - 1);
    },
  );
});
