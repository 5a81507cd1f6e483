/** Concurrent operations: frozen blobs, locked blobs, syncs in flight. Gates of the device force each interleaving. */

import type { Blob, Channel } from '@blobyard/core';
import { describe, expect, it } from 'vitest';
import { ExternalDevice, ExternalSource } from './external-source.js';
import { CONFIGURATIONS, codeOfLater, eachConfiguration, isSettled, PER_CLUSTER, Yard } from './fixture.js';

/** Starts a snapshot of a blob, and stops it while the blob is frozen. Returns the function that lets it end. */
async function snapshotStoppedWhileFrozen(yard: Yard, blob: Blob): Promise<() => Promise<bigint>> {
  const gate = yard.device.gate('write', 2); // the first write creates the snapshot, the second one gives it the map
  const snapshot = yard.run(yard.store.createSnapshot(blob.id));
  await gate.reached;
  return () => {
    gate.release();
    return snapshot;
  };
}

function read(channel: Channel, blob: Blob, offset: number): { buffer: Buffer; done: Promise<void> } {
  const buffer = Buffer.alloc(4096, 0xa5);
  return { buffer, done: channel.read(blob, buffer, offset, 1) };
}

eachConfiguration((test) => {
  test('queues what is issued while a blob is frozen, in order, and lands it in the clone', async (yard) => {
    const { channel } = yard;
    const blob = yard.make({ clusterCount: 10, thin: true });
    yard.write(blob, 0, 2, 1);
    yard.sync(blob);
    const snapshot = await yard.later(async () => {
      const end = await snapshotStoppedWhileFrozen(yard, blob);
      const first = channel.write(blob, yard.payload(2, 1), 0, 1);
      const found = read(channel, blob, 0);
      const second = channel.write(blob, yard.payload(3, 1), 0, 1);
      const other = channel.writeZeroes(blob, 5, 1);
      expect(channel.frozenDepth).toBe(4);
      expect(await isSettled(first)).toBe(false);
      const id = await end();
      await Promise.all([first, found.done, second, other]);
      expect(channel.frozenDepth).toBe(0);
      return yard.open(id);
    });
    yard.expectContent(snapshot, 0, 2, 1);
    yard.expectContent(blob, 0, 1, 3);
    expect(Buffer.from(yard.read(blob, 1, 1)).equals(Buffer.from(yard.payload(1, 2).subarray(4096)))).toBe(true);
    expect([snapshot.map.allocatedCount, blob.map.allocatedCount]).toEqual([1, 1]);
  });

  test('drains what is under way before it makes a snapshot, allocations included', async (yard) => {
    const { channel } = yard;
    const blob = yard.make({ clusterCount: 10, thin: true });
    const snapshot = await yard.later(async () => {
      const gate = yard.device.gate('write', 1);
      const write = channel.write(blob, yard.payload(1, 1), 0, 1); // allocates, then waits in the device
      await gate.reached;
      const making = yard.run(yard.store.createSnapshot(blob.id));
      expect(await isSettled(making)).toBe(false);
      expect(blob.map.allocatedCount).toBe(1);
      gate.release();
      await write;
      return yard.open(await making);
    });
    yard.expectContent(snapshot, 0, 1, 1);
    expect([snapshot.map.allocatedCount, blob.map.allocatedCount]).toEqual([1, 0]);
  });

  test('keeps a blob frozen until the last of several freezes ends', async (yard) => {
    const { channel, store } = yard;
    const blob = yard.make({ clusterCount: 5, thin: true });
    for (const cluster of [0, 1, 2]) yard.write(blob, cluster * PER_CLUSTER, 1, 1);
    yard.sync(blob);
    const others = [store.openChannel(), store.openChannel()];
    await yard.later(async () => {
      // each of these freezes the blob: an unmap of a whole cluster, and a resize
      const gate = yard.device.gate('unmap', 1);
      const unmap = others[0].unmap(blob, 0, PER_CLUSTER);
      await gate.reached;
      const resize = yard.run(store.resizeBlob(blob, 7));
      const write = channel.write(blob, yard.payload(2, 1), PER_CLUSTER, 1);
      const found = read(others[1], blob, 0);
      expect(await isSettled(Promise.race([write, found.done]))).toBe(false);
      expect([channel.frozenDepth, others[1].frozenDepth]).toEqual([1, 1]);
      gate.release();
      await Promise.all([unmap, resize, write, found.done]);
      expect(found.buffer.every((byte) => byte === 0)).toBe(true);
    });
    expect([blob.clusterCount, blob.map.allocatedCount]).toEqual([7, 2]);
    yard.expectContent(blob, PER_CLUSTER, 1, 2);
  });

  for (const what of ['snapshot', 'clone', 'inflate', 'decouple', 'resize'] as const) {
    test(`refuses to delete a blob while ${what} is under way on it, and everything else that needs it whole`, async (yard) => {
      const { store } = yard;
      const original = yard.make({ clusterCount: 4, thin: true });
      yard.write(original, 0, PER_CLUSTER, 1);
      const snapshot = yard.snapshot(original);
      const inflater = store.openChannel();
      const blob = what === 'clone' ? yard.open(snapshot) : original;
      const operations = {
        snapshot: () => yard.run(store.createSnapshot(blob.id)),
        clone: () => yard.run(store.createClone(blob.id)),
        inflate: () => yard.run(store.inflateBlob(inflater, blob.id)),
        decouple: () => yard.run(store.decoupleBlob(inflater, blob.id)),
        resize: () => yard.run(store.resizeBlob(blob, 6)),
      };
      await yard.later(async () => {
        const stop = yard.device.gate(undefined, 1);
        const reading = what === 'resize' ? read(inflater, blob, 0).done : Promise.resolve(); // resizing waits for it
        const running = operations[what]();
        await stop.reached;
        expect([blob.locked, blob.openRefs > 1 || what === 'resize']).toEqual([true, true]);
        expect(await codeOfLater(yard.run(store.deleteBlob(blob.id)))).toBe('EBUSY');
        expect(await codeOfLater(operations.inflate())).toBe('EBUSY');
        expect(await codeOfLater(operations.decouple())).toBe('EBUSY');
        if (what === 'clone') expect(await codeOfLater(operations.clone())).toBe('EBUSY');
        else expect(await codeOfLater(operations.snapshot())).toBe('EBUSY');
        if (what !== 'clone') expect(await codeOfLater(yard.run(store.resizeBlob(blob, 9)))).toBe('EBUSY');
        stop.release();
        await Promise.all([reading, running]);
      });
      expect(blob.locked).toBe(false);
      yard.closeAll();
      if (what === 'clone') yard.delete(store.clonesOf(snapshot)[1]);
      if (what === 'snapshot') yard.delete(store.parentOf(blob.id));
      yard.delete(blob.id);
      expect(store.blobIds().includes(blob.id)).toBe(false);
    });
  }

  test('lets two syncs in flight both write what they were asked for', async (yard) => {
    const { store } = yard;
    const blob = yard.make({ clusterCount: 1 });
    await yard.later(async () => {
      const gate = yard.device.gate('write', 1);
      store.setXattr(blob, 'first', Uint8Array.of(1));
      const first = yard.run(store.syncBlob(blob));
      await gate.reached;
      store.setXattr(blob, 'second', Uint8Array.of(2));
      const later = [yard.run(store.syncBlob(blob)), yard.run(store.syncBlob(blob))];
      expect(await isSettled(Promise.race(later))).toBe(false);
      gate.release();
      await Promise.all([first, ...later]);
    });
    yard.crash();
    expect(yard.store.xattrNames(yard.open(blob.id))).toEqual(['first', 'second']);
  });

  test('forgets an xattr that was removed while a sync was in flight once the next has ended', async (yard) => {
    const { store } = yard;
    const blob = yard.make();
    store.setXattr(blob, 'gone', new Uint8Array(3000).fill(1));
    store.setXattr(blob, 'kept', new Uint8Array(3000).fill(2)); // a chain of two pages
    await yard.later(async () => {
      const gate = yard.device.gate('write', 1);
      const first = yard.run(store.syncBlob(blob));
      await gate.reached;
      store.removeXattr(blob, 'gone');
      const second = yard.run(store.syncBlob(blob));
      gate.release();
      await first;
      await second;
    });
    expect(store.xattrNames(blob)).toEqual(['kept']);
    yard.crash();
    const again = yard.open(blob.id);
    expect(yard.store.xattrNames(again)).toEqual(['kept']);
    expect(yard.store.getXattr(again, 'kept')).toHaveLength(3000);
  });
});

describe('two changes of the device behind an external clone', () => {
  it('are made one after the other, and close each device once', async () => {
    const source = new ExternalSource(4 * 16 * 1024);
    const yard = new Yard(CONFIGURATIONS[1], { store: { clusterBytes: 16 * 1024, openExternalSnapshot: source.open } });
    const blob = yard.make({ clusterCount: 4, externalSnapshotId: Uint8Array.of(1) });
    const [second, third] = [2, 3].map((seed) => new ExternalDevice(seed, 4 * 16 * 1024, 4096));
    const first = source.last;
    const held = first.holdClose();
    const changes = [yard.run(yard.store.setExternalDevice(blob, second))];
    const later = yard.run(yard.store.setExternalDevice(blob, third));
    expect(await codeOfLater(later)).toBe('EBUSY');
    held();
    await Promise.all(changes);
    yard.do(yard.store.setExternalDevice(blob, third));
    expect([first.closed, second.closed, third.closed]).toEqual([1, 1, 0]);
    expect(Buffer.from(yard.read(blob, 0, 16)).equals(Buffer.from(third.bytes))).toBe(true);
    yard.finish();
    expect(third.closed).toBe(1);
  });
});

describe('a clone whose operations wait for its frozen snapshot', () => {
  // A channel counts its operations in 64 counters, by the blob's slot: with 63 blobs between them, snapshot and clone
  // share a counter.
  it.each([0, 62, 63, 64])('does not keep the snapshot from being drained, with %i blobs between', async (between) => {
    const bytes = 4 * 16 * 1024;
    const source = new ExternalSource(bytes);
    const yard = new Yard(CONFIGURATIONS[1], { store: { clusterBytes: 16 * 1024, openExternalSnapshot: source.open } });
    const { store } = yard;
    const original = yard.make({ clusterCount: 4, externalSnapshotId: Uint8Array.of(1) });
    const snapshot = yard.open(yard.snapshot(original));
    for (let made = 0; made < between; made++) yard.make();
    const clone = yard.open(yard.clone(snapshot.id));
    const [channel, inflater] = [store.openChannel(), store.openChannel()];
    const next = new ExternalDevice(2, bytes, 4096);
    source.last.isLater = true;
    await yard.later(async () => {
      const gate = source.last.gate('read', 1);
      source.last.failAt(1, { kind: 'read' });
      const first = codeOfLater(channel.write(clone, yard.payload(5, 1), 0, 1));
      const second = channel.write(clone, yard.payload(6, 1), 1, 1); // waits for the first, inside the clone
      await gate.reached;
      const change = yard.run(store.setExternalDevice(snapshot, next)); // freezes the snapshot
      const found = read(channel, clone, 9);
      const inflating = yard.run(store.inflateBlob(inflater, clone.id));
      expect(await isSettled(change)).toBe(false);
      gate.release();
      expect(await first).toBe('EIO');
      expect(await isSettled(change)).toBe(true);
      await Promise.all([second, found.done, inflating]);
      expect(found.buffer.equals(Buffer.from(next.bytes.subarray(9 * 4096, 10 * 4096)))).toBe(true);
    });
    yard.expectContent(clone, 1, 1, 6);
    expect([clone.isThin, clone.map.allocatedCount]).toEqual([false, 4]);
    const rest = Buffer.from(yard.read(clone, 2, 14));
    expect(rest.equals(Buffer.from(next.bytes.subarray(2 * 4096)))).toBe(true);
    yard.finish();
  });
});

describe('a blob that shares its counters with another one', () => {
  it('is frozen once the operations on the other have ended', async () => {
    const yard = new Yard(CONFIGURATIONS[1], { store: { mdPageCount: 80 } });
    const blob = yard.make({ clusterCount: 1 });
    const between = Array.from({ length: 63 }, () => yard.make());
    const stranger = yard.make({ clusterCount: 1 });
    expect(stranger.slot - blob.slot).toBe(64);
    await yard.later(async () => {
      const gate = yard.device.gate('write', 1);
      const write = yard.channel.write(stranger, yard.payload(1, 1), 0, 1);
      await gate.reached;
      const resize = yard.run(yard.store.resizeBlob(blob, 2));
      expect(await isSettled(resize)).toBe(false);
      gate.release();
      await write;
      expect(await isSettled(resize)).toBe(true);
    });
    expect(blob.clusterCount).toBe(2);
    yard.close(...between);
    yard.finish();
  });
});

describe('a blob whose last reference is released twice at once', () => {
  it('is closed once', async () => {
    const yard = new Yard();
    const blob = yard.make({ clusterCount: 1 });
    yard.store.setXattr(blob, 'a', Uint8Array.of(1));
    yard.forgetRef(blob);
    await yard.later(async () => {
      const gate = yard.device.gate('write', 1);
      const first = yard.run(yard.store.closeBlob(blob));
      await gate.reached;
      const second = codeOfLater(yard.run(yard.store.closeBlob(blob)));
      gate.release();
      await first;
      expect(await second).toBe('EBADF');
    });
    expect([blob.isOpen, blob.openRefs]).toEqual([false, 0]);
    expect(yard.store.xattrNames(yard.open(blob.id))).toEqual(['a']);
    yard.finish();
  });
});
