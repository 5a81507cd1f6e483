/** Snapshots and clones, the long operations on them, and how operations on metadata wait for each other. */

import { type BlockDevice, FaultyDevice } from 'blobyard/devices';
import type { Blob, Progress } from 'blobyard/types';
import { describe, expect, test } from 'vitest';
import {
  bytes,
  CLUSTER,
  createStore,
  expectAbort,
  expectCode,
  expectSame,
  isAttached,
  MiB,
  memory,
  openStore,
  testStore,
  usable,
  verify,
} from './support.js';

/** The xattrs of a blob, but for its name. */
async function xattrsOf(blob: Blob): Promise<Record<string, string | undefined>> {
  const names = (await blob.xattrs.list()).filter((name) => name !== 'name');
  const values = await Promise.all(names.map(async (name) => [name, await blob.xattrs.getText(name)] as const));
  return Object.fromEntries(values);
}

describe('the xattrs of snapshots and clones', () => {
  test('are those of the blob at that moment, but for its name', async () => {
    const device = memory();
    const made = await createStore({ device, clusterSizeBytes: CLUSTER });
    const xattrs = { owner: 'red', length: '5', ['é'.repeat(20)]: 'x'.repeat(3000) };
    const blob = await made.create({ name: 'a', sizeBytes: CLUSTER, thin: true, xattrs });
    const first = await blob.snapshot();
    await blob.xattrs.setAll({ owner: 'blue', more: '1' });
    const second = await blob.snapshot({ name: 's' });
    const clone = await first.clone({ name: 'c' });
    await clone.xattrs.delete('length');
    const { id } = first;
    await made.close();

    await using store = await openStore({ device });
    const reopened = async (address: bigint | { name: string }) => xattrsOf(await store.open(address));
    expect(await reopened(id)).toEqual(xattrs);
    expect(await reopened({ name: 's' })).toEqual({ ...xattrs, owner: 'blue', more: '1' });
    expect(await reopened({ name: 'a' })).toEqual({ ...xattrs, owner: 'blue', more: '1' });
    const { length: _, ...kept } = xattrs;
    expect(await reopened({ name: 'c' })).toEqual(kept);
    expect((await store.open(id)).name).toBeUndefined();
    expect(second.name).toBe('s');
  });

  test('are replaced and added to by those that are given, or left out', async () => {
    const store = await testStore();
    const blob = await store.create({ sizeBytes: CLUSTER, thin: true, xattrs: { owner: 'red', length: '5' } });
    const given = await blob.snapshot({ xattrs: { owner: 'blue', why: 'backup' } });
    expect(await xattrsOf(given)).toEqual({ owner: 'blue', length: '5', why: 'backup' });
    expect(await xattrsOf(await given.clone({ xattrs: 'inherit' }))).toEqual(await xattrsOf(given));
    expect(await xattrsOf(await given.clone({ xattrs: 'none', name: 'bare' }))).toEqual({});
    expect(await xattrsOf(await blob.snapshot({ xattrs: 'none' }))).toEqual({});
    for (const xattrs of ['all', '', 1, null]) {
      await expectCode(blob.snapshot({ xattrs: xattrs as never }), 'EINVAL', /xattrs/);
      await expectCode(given.clone({ xattrs: xattrs as never }), 'EINVAL', /xattrs/);
    }
    expect(await xattrsOf(blob)).toEqual({ owner: 'red', length: '5' });
  });

  test('a name that a blob has given up can be that of its snapshot', async () => {
    const store = await testStore();
    const blob = await store.create({ name: 'a', sizeBytes: CLUSTER, thin: true });
    await expectCode(blob.snapshot({ xattrs: { name: 'a' } }), 'EEXIST');
    await blob.xattrs.set('name', 'b');
    const snapshot = await blob.snapshot({ xattrs: { name: 'a' } });
    expect([snapshot.name, (await store.open({ name: 'a' })).id]).toEqual(['a', snapshot.id]);
  });
});

describe('a copy of a snapshot of a clone', () => {
  test('reads as the snapshot does; with `own` it has only what the snapshot itself has', async () => {
    const store = await testStore(memory(8 * MiB));
    const golden = await store.create({ sizeBytes: 8 * CLUSTER, thin: true });
    await golden.write(bytes(3 * CLUSTER, 1), 0);
    const clone = await (await golden.snapshot()).clone();
    await clone.write(bytes(CLUSTER, 2), CLUSTER);
    await clone.write(bytes(100, 3), 6 * CLUSTER + 50);
    const snapshot = await clone.snapshot();
    const expected = await snapshot.read(0, 8 * CLUSTER);
    const reads = async (target: BlockDevice) => {
      const copied = new Uint8Array(9 * CLUSTER);
      await target.openChannel().read(copied, 0, 0, copied.length / target.blockLengthBytes);
      return copied;
    };
    const stale = async () => {
      const target = memory(9 * CLUSTER);
      await target.openChannel().write(new Uint8Array(9 * CLUSTER).fill(0xee), 0, 0, (9 * CLUSTER) / 512);
      return target;
    };
    const whole = await stale();
    expect(await snapshot.copyTo(usable(whole))).toBe(4 * CLUSTER);
    expectSame((await reads(whole)).subarray(0, 8 * CLUSTER), expected);
    expect((await reads(whole)).subarray(8 * CLUSTER).every((byte) => byte === 0xee)).toBe(true);
    const own = await stale();
    expect(await snapshot.copyTo(usable(own), { own: true })).toBe(2 * CLUSTER);
    const copied = await reads(own);
    expectSame(copied.subarray(CLUSTER, 2 * CLUSTER), expected.subarray(CLUSTER, 2 * CLUSTER));
    expectSame(copied.subarray(6 * CLUSTER, 7 * CLUSTER), expected.subarray(6 * CLUSTER, 7 * CLUSTER));
    for (const cluster of [0, 2, 3, 4, 5, 7, 8]) expect(copied[cluster * CLUSTER]).toBe(0xee);
    await expectCode(snapshot.copyTo(usable(own), { own: 1 as never }), 'EINVAL', /own/);
  });
});

describe('snapshots and clones', () => {
  test('keep their data while the blob is written', async () => {
    const store = await testStore();
    const blob = await store.create({ sizeBytes: 4 * CLUSTER, thin: true });
    await blob.write(bytes(40_000, 1), 77);
    const snapshot = await blob.snapshot({ name: 'then', xattrs: { why: 'backup' } });
    expect([snapshot.isReadOnly, snapshot.name, blob.parent]).toEqual([true, 'then', snapshot.id]);
    expect(await snapshot.xattrs.getText('why')).toBe('backup');
    await blob.write(bytes(100, 2), 500);
    const clone = await snapshot.clone({ name: 'copy' });
    await clone.write(bytes(100, 3), 500);
    expectSame(await snapshot.read(77, 40_000), bytes(40_000, 1));
    expectSame(await blob.read(500, 100), bytes(100, 2));
    expectSame(await clone.read(500, 100), bytes(100, 3));
    expectSame(await clone.read(600, 30_000), bytes(40_000, 1).subarray(523, 30_523));
    expect(await snapshot.clones()).toEqual([blob.id, clone.id]);
    await expectCode(snapshot.write(bytes(1), 0), 'EPERM');
    await expectCode(snapshot.snapshot(), 'EINVAL', /clone it/);
    await expectCode(blob.clone(), 'EINVAL', /snapshot of it/);
    await expectCode(snapshot.clone({ size: 1 } as never), 'EINVAL');
  });

  test('a snapshot with one clone can be deleted; one with two clones, or an open one, cannot', async () => {
    const store = await testStore();
    const blob = await store.create({ sizeBytes: 2 * CLUSTER, thin: true });
    await blob.write(bytes(20_000), 0);
    const snapshot = await blob.snapshot();
    const clone = await snapshot.clone();
    await expectCode(store.delete(snapshot.id), 'EBUSY', /1 of its handles/);
    await snapshot.close();
    await expectCode(store.delete(snapshot.id), 'EBUSY', /2 clones/);
    await clone.close();
    await store.delete(clone.id);
    await store.delete(snapshot.id);
    expect(blob.parent).toBeUndefined();
    expectSame(await blob.read(0, 20_000), bytes(20_000));
    await expectCode(store.open(snapshot.id), 'ENOENT');
  });

  test('a deletion waits for a handle that is being closed, and is not refused because of it', async () => {
    const store = await testStore(new FaultyDevice(memory(), { asynchronous: true }));
    const blob = await store.create({ sizeBytes: CLUSTER });
    const closing = blob.close();
    await store.delete(blob.id);
    await closing;
    expect(await store.blobs()).toEqual([]);
  });

  test('a snapshot has the data of one moment, though writes are under way', async () => {
    const store = await testStore(new FaultyDevice(memory(), { asynchronous: true }));
    const blob = await store.create({ sizeBytes: 4 * CLUSTER, thin: true });
    await blob.write(new Uint8Array(4 * CLUSTER).fill(1), 0);
    const writes = Array.from({ length: 32 }, (_, index) => blob.write(new Uint8Array(900).fill(2), index * 2000 + 3));
    const snapshot = await blob.snapshot();
    await Promise.all(writes);
    const then = await snapshot.read(0, snapshot.sizeBytes);
    await blob.write(new Uint8Array(4 * CLUSTER).fill(3), 0);
    expectSame(await snapshot.read(0, snapshot.sizeBytes), then);
  });

  test('a clone of a snapshot outside the store reads that snapshot, and keeps its own writes', async () => {
    const outside = memory(4 * CLUSTER);
    const channel = outside.openChannel();
    void channel.write(bytes(4 * CLUSTER, 5), 0, 0, (4 * CLUSTER) / 512);
    const device = memory();
    const asked: string[] = [];
    const options = {
      device,
      clusterSizeBytes: CLUSTER,
      openExternalSnapshot: ({ snapshotId }: { snapshotId: Uint8Array }) => {
        asked.push(Buffer.from(snapshotId).toString());
        return Promise.resolve(outside);
      },
    };
    const store = await createStore(options);
    const blob = await store.create({ sizeBytes: 4 * CLUSTER, externalSnapshotId: 'golden image' });
    expect(asked).toEqual(['golden image']);
    await blob.write(bytes(10, 6), 3);
    expectSame(await blob.read(13, 5000), bytes(4 * CLUSTER, 5).subarray(13, 5013));
    expect(Buffer.from((await blob.info()).externalSnapshotId ?? []).toString()).toBe('golden image');
    expect((await blob.info()).clone).toBe(true);
    await blob.inflate();
    expect((await blob.info()).externalSnapshotId).toBeUndefined();
    expectSame(await blob.read(3, 10), bytes(10, 6));
    await store.close();
    await (await openStore({ device })).close();
    await expectCode(store.create({ externalSnapshotId: '' }), 'EBADF');
  });
});

describe('long work', () => {
  async function deepClone() {
    const store = await testStore(memory(8 * MiB));
    const base = await store.create({ sizeBytes: 64 * CLUSTER, thin: true });
    const content = bytes(40 * CLUSTER);
    await base.write(content, 0);
    const snapshot = await base.snapshot();
    const clone = await snapshot.clone();
    return { store, base, snapshot, clone, content };
  }

  test('inflating reports its progress, and lets other work go on', async () => {
    const { clone, content } = await deepClone();
    const seen: Progress[] = [];
    await clone.inflate({ onProgress: (progress) => seen.push(progress) });
    expect(seen.length).toBe(64);
    expect(seen[63]).toEqual({ doneBytes: 64 * CLUSTER, totalBytes: 64 * CLUSTER });
    expect(await clone.info()).toMatchObject({ thin: false, clone: false, allocatedBytes: 64 * CLUSTER });
    expectSame(await clone.read(0, content.length), content);
    await clone.inflate();
  });

  test('decoupling copies the clusters of the parent', async () => {
    const { clone, base, content } = await deepClone();
    const seen: Progress[] = [];
    await clone.decouple({ onProgress: (progress) => seen.push(progress) });
    expect(seen.at(-1)).toEqual({ doneBytes: 40 * CLUSTER, totalBytes: 40 * CLUSTER });
    expect(await clone.info()).toMatchObject({ thin: true, clone: false, allocatedBytes: 40 * CLUSTER });
    await base.write(new Uint8Array(CLUSTER), 0);
    expectSame(await clone.read(0, content.length), content);
    await expectCode(clone.decouple(), 'EINVAL', /no parent/);
  });

  test('is aborted by its signal, and can be started again', async () => {
    const { clone, content } = await deepClone();
    const controller = new AbortController();
    const reason = new Error('no longer wanted');
    const onProgress = ({ doneBytes }: Progress) => {
      if (doneBytes === 10 * CLUSTER) controller.abort(reason);
    };
    await expectAbort(clone.inflate({ signal: controller.signal, onProgress }), reason);
    expect((await clone.info()).allocatedBytes).toBe(10 * CLUSTER);
    await expectAbort(clone.inflate({ signal: controller.signal }), reason);
    expectSame(await clone.read(0, content.length), content);
    await clone.inflate();
    expect((await clone.info()).thin).toBe(false);
  });

  test('rejects with the error that its callback throws', async () => {
    const { clone } = await deepClone();
    const cause = new Error('mine');
    const onProgress = () => {
      throw cause;
    };
    await expect(clone.inflate({ onProgress })).rejects.toMatchObject({ code: 'ECANCELED', cause });
    for (const options of [{ onProgress: 1 }, { signal: 1 }, { speed: 1 }, 7])
      await expectCode(clone.inflate(options as never), 'EINVAL');
  });

  test('copying goes to another device, cluster by cluster', async () => {
    const { base, snapshot, content } = await deepClone();
    const target = memory(64 * CLUSTER);
    const seen: Progress[] = [];
    expect(await snapshot.copyTo(usable(target), { onProgress: (progress) => seen.push(progress) })).toBe(40 * CLUSTER);
    expect(seen.at(-1)).toEqual({ doneBytes: 40 * CLUSTER, totalBytes: 40 * CLUSTER });
    const copy = new Uint8Array(40 * CLUSTER);
    await target.openChannel().read(copy, 0, 0, copy.length / 512);
    expectSame(copy, content);
    await expectCode(base.copyTo(usable(target)), 'EPERM', /snapshot of it/);
    await expectCode(snapshot.copyTo(usable(memory(CLUSTER))), 'EINVAL');
    await expectCode(snapshot.copyTo({ kind: 'sparse-memory', sizeBytes: CLUSTER }), 'EINVAL');
    await expectCode(snapshot.copyTo(undefined as never), 'EINVAL');
    await expectAbort(snapshot.copyTo(usable(target), { signal: AbortSignal.abort() }));
  });

  // An attached thread has another device object for the same medium. There the error is that it has a store (EEXIST).
  test.skipIf(isAttached)('a blob is not copied over its own store', async () => {
    const device = memory();
    const store = await testStore(device);
    const snapshot = await (await store.create({ sizeBytes: CLUSTER })).snapshot();
    await expectCode(snapshot.copyTo(usable(device)), 'EINVAL', /own store/);
  });
});

describe('operations on metadata', () => {
  async function gatedStore() {
    const inner = memory(8 * MiB);
    const device = new FaultyDevice(inner, { asynchronous: true });
    return { inner, device, store: await testStore(device) };
  }

  test('on one blob wait for each other', async () => {
    const { store } = await gatedStore();
    const blob = await store.create({ sizeBytes: 8 * CLUSTER, thin: true, name: 'busy' });
    await blob.write(bytes(50_000), 0);
    const results = await Promise.all([
      blob.snapshot({ name: 'first' }),
      blob.resize(12 * CLUSTER),
      blob.snapshot({ name: 'second' }),
      blob.inflate(),
      blob.xattrs.set('name', 'busier'),
      blob.snapshot({ name: 'third' }),
      blob.flush(),
      blob.sync(),
      store.open(blob.id),
      store.blobs(),
    ]);
    const [first, , second, , , third] = results;
    expect([first.sizeBytes, second.sizeBytes, third.sizeBytes]).toEqual([8, 12, 12].map((count) => count * CLUSTER));
    expect([blob.parent, second.parent]).toEqual([third.id, first.id]);
    const clones = await Promise.all([
      third.clone(),
      third.clone(),
      third.copyTo(usable(memory(8 * MiB))),
      third.clone(),
    ]);
    await Promise.all([clones[0].close(), clones[1].close(), clones[3].close(), first.close(), second.close()]);
    await Promise.all([store.delete(clones[0].id), store.delete(clones[1].id), store.delete(second.id)]);
    expectSame(await blob.read(0, 50_000), bytes(50_000));
    verify(store);
  });

  test('on different blobs overlap', async () => {
    const { device, store } = await gatedStore();
    const [slow, quick] = [await store.create({ sizeBytes: CLUSTER }), await store.create({ sizeBytes: CLUSTER })];
    const gate = device.gate('write', 1);
    const snapshot = slow.snapshot();
    await gate.reached;
    await quick.xattrs.set('while', 'the other waits');
    const waiting = slow.resize(2 * CLUSTER);
    await quick.resize(2 * CLUSTER);
    await quick.snapshot();
    gate.release();
    await Promise.all([snapshot, waiting]);
  });

  test('long work on clones of one snapshot overlaps, and a flush does not wait for it', async () => {
    const { device, store } = await gatedStore();
    const base = await store.create({ sizeBytes: 4 * CLUSTER, thin: true });
    await base.write(bytes(4 * CLUSTER), 0);
    const snapshot = await base.snapshot();
    const [one, other] = [await snapshot.clone(), await snapshot.clone()];
    const gate = device.gate(undefined, 1);
    const inflating = one.inflate();
    await gate.reached;
    await other.inflate();
    await one.flush();
    await store.flush();
    await one.xattrs.set('still', 'inflating');
    const third = await snapshot.clone();
    gate.release();
    await inflating;
    expectSame(await third.read(0, 4 * CLUSTER), bytes(4 * CLUSTER));
  });

  test('that wait for their turn are aborted by their signal', async () => {
    const { device, store } = await gatedStore();
    const blob = await store.create({ sizeBytes: CLUSTER, thin: true });
    const gate = device.gate('write', 1);
    const snapshot = blob.snapshot();
    await gate.reached;
    const controller = new AbortController();
    const inflating = blob.inflate({ signal: controller.signal });
    controller.abort();
    await expectAbort(inflating);
    gate.release();
    await snapshot;
    await blob.inflate(); // the aborted operation does not block the next one
  });

  test('no flush writes a blob’s metadata while a snapshot of it is half made: a crash then would lose the blob', async () => {
    for (let at = 1; ; at++) {
      const { inner, device, store } = await gatedStore();
      const blob = await store.create({ sizeBytes: 4 * CLUSTER, thin: true, name: 'original' });
      await blob.write(bytes(20_000), 0);
      await blob.flush();
      await blob.write(bytes(1000, 2), 3 * CLUSTER); // there is something to flush
      const second = await store.open(blob.id);
      const gate = device.gate('write', at);
      const snapshot = blob.snapshot();
      if ((await Promise.race([gate.reached.then(() => 'held'), snapshot])) !== 'held') {
        gate.release(); // the snapshot makes fewer writes: all were tried
        break;
      }
      const others = [
        blob.flush(),
        blob.sync(),
        store.flush(),
        second.close(),
        store.blobs(),
        blob.xattrs.set('a', 'b'),
      ];
      for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
      const crashed = await openStore({ device: imageOf(inner) });
      const after = await crashed.open({ name: 'original' });
      expectSame(await after.read(0, 20_000), bytes(20_000), `crash at write ${at} of the snapshot`);
      await crashed.close();
      gate.release();
      await Promise.all([snapshot, ...others]);
      await store.close();
    }
  });

  test('a deletion that failed can be finished by another call', async () => {
    const { device, store } = await gatedStore();
    const blob = await store.create({ sizeBytes: CLUSTER, name: 'stubborn' });
    await blob.close();
    device.failAt(1, { kind: 'unmap' });
    await expectCode(store.delete({ name: 'stubborn' }), 'EIO');
    expect(await store.blobs()).toEqual([]);
    await expectCode(store.open({ name: 'stubborn' }), 'EBUSY', /delete it again/);
    await store.delete({ name: 'stubborn' });
    await store.create({ name: 'stubborn' });
  });
});

/** A copy of a device with its present contents. */
function imageOf(device: BlockDevice): BlockDevice {
  const { blockCount, blockLengthBytes } = device;
  const copy = memory(blockCount * blockLengthBytes, blockLengthBytes);
  const image = new Uint8Array(blockCount * blockLengthBytes);
  const [from, to] = [device.openChannel(), copy.openChannel()];
  void from.read(image, 0, 0, blockCount);
  void to.write(image, 0, 0, blockCount);
  from.close();
  to.close();
  return copy;
}
