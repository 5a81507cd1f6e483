/**
 * Operations on the snapshots and clones of one family, all at once. None of them changes the data of a blob, so every
 * blob must read the same before and after.
 */

import { asyncDevice, FaultyDevice, SparseMemoryDevice } from 'blobyard/devices';
import type { Blob, BlobInfo, Store } from 'blobyard/types';
import { describe, expect, test } from 'vitest';
import { Blobstore, run } from '../../../packages/core/dist/index.js';
import { longWorkTurns } from '../../../packages/workers/dist/data/loop-turns.js';
import { BlobTurns } from '../../../packages/workers/dist/local/blob-turns.js';
import { LockTable } from '../../../packages/workers/dist/local/lock-table.js';
import { shuffled } from '../random.js';
import { CLUSTER, createStore, expectSame, isPooled, memory, numbers, openStore, usable, verify } from './support.js';

const CLUSTERS = 12;

async function storeOn(seed: number): Promise<Store> {
  const device = usable(asyncDevice(memory(16 * 1024 * CLUSTER), shuffled(seed)));
  return createStore({ device, clusterSizeBytes: CLUSTER, ...(isPooled ? { threads: 1 } : {}) });
}

/** Fills a cluster with a value. */
function fill(blob: Blob, cluster: number, value: number): Promise<void> {
  return blob.write(new Uint8Array(CLUSTER).fill(value), cluster * CLUSTER);
}

/** The first byte of each cluster. */
async function contentOf(blob: Blob): Promise<number[]> {
  const data = await blob.read(0, CLUSTERS * CLUSTER);
  return Array.from({ length: CLUSTERS }, (_, cluster) => data[cluster * CLUSTER]);
}

describe('a clone that is decoupled', () => {
  test.each(['inflated', 'decoupled'] as const)('keeps its data while its snapshot is %s', async (how) => {
    await using store = await storeOn(1);
    const blob = await store.create({ sizeBytes: CLUSTERS * CLUSTER, thin: true });
    await fill(blob, 0, 1);
    await blob.snapshot();
    for (let cluster = 1; cluster < CLUSTERS; cluster++) await fill(blob, cluster, 2);
    const snapshot = await blob.snapshot();
    const before = await contentOf(blob);
    await Promise.all([blob.decouple(), how === 'inflated' ? snapshot.inflate() : snapshot.decouple()]);
    expect(await contentOf(blob)).toEqual(before);
    verify(store);
  });
});

/** Blobs of one family, and the data that each must have. */
class Family {
  readonly store: Store;
  readonly below: (limit: number) => number;
  readonly contents = new Map<bigint, number[]>();

  constructor(store: Store, seed: number) {
    this.store = store;
    this.below = numbers(seed * 7919);
  }

  /** Makes a line of snapshots, which differ in their clusters. Returns the open blob at its end. */
  async begin(length: number): Promise<Blob> {
    const blob = await this.store.create({ sizeBytes: CLUSTERS * CLUSTER, thin: true });
    for (let at = 1; at <= length; at++) {
      for (let k = 0; k < 3; k++) await fill(blob, this.below(CLUSTERS), at);
      const snapshot = await blob.snapshot();
      this.contents.set(snapshot.id, await contentOf(snapshot));
      await snapshot.close();
    }
    this.contents.set(blob.id, await contentOf(blob));
    return blob;
  }

  /**
   * One random operation on one of the blobs. It may fail because another operation is in its way, or the blob is gone.
   */
  async operate(): Promise<void> {
    const ids = [...this.contents.keys()];
    const id = ids[this.below(ids.length)];
    const what = this.below(6);
    try {
      if (what === 0) {
        await this.store.delete(id);
        this.contents.delete(id);
        return;
      }
      await using blob = await this.store.open(id);
      const content = this.contents.get(id) ?? [];
      if (what === 1) await blob.inflate();
      else if (what === 2) await blob.decouple();
      else if (what === 3) expect(await contentOf(blob)).toEqual(content);
      else {
        await using made = blob.isReadOnly ? await blob.clone() : await blob.snapshot();
        this.contents.set(made.id, content);
      }
    } catch (error) {
      const { code } = error as { code?: string };
      if (code !== 'EBUSY' && code !== 'ENOENT' && code !== 'EINVAL') throw error;
    }
  }

  async check(): Promise<void> {
    const listed = (await this.store.blobs()).map(({ id }) => id);
    expect(listed.sort()).toEqual([...this.contents.keys()].sort());
    for (const [id, content] of this.contents) {
      await using blob = await this.store.open(id);
      expectSame(Uint8Array.from(await contentOf(blob)), Uint8Array.from(content), `blob ${id}`);
    }
  }
}

describe('operations on one family at once', () => {
  test.each([1, 2, 3, 4, 5, 6])('change the data of no blob, seed %i', async (seed) => {
    await using store = await storeOn(seed);
    const family = new Family(store, seed);
    const blob = await family.begin(6);
    if (seed % 2 === 0) await blob.close();
    for (let round = 0; round < 4; round++) {
      await Promise.all(Array.from({ length: 8 }, () => family.operate()));
      await family.check();
      verify(store);
    }
  });
});

test.skipIf(isPooled)(
  'an operation on a blob takes no more locks after a long line of snapshots than after a short one',
  async () => {
    const store = await run(Blobstore.init(memory(4096 * CLUSTER), { clusterBytes: CLUSTER }));
    const locks = new LockTable();
    const turns = new BlobTurns(store, locks);
    const id = await run(store.createBlob({ clusterCount: 1, thin: true }));
    const taken: number[] = [];
    for (let depth = 0; depth < 40; depth++) {
      taken.push(await turns.with(id, { turn: true, state: true }, async () => locks.size));
      await run(store.createSnapshot(id));
    }
    expect(Math.max(...taken)).toBeLessThanOrEqual(4);
    expect(taken[39]).toBe(taken[1]);
    await run(store.unload());
  },
);

describe('a list of blobs', () => {
  test('has the same as info() of each blob, open or closed, before and after the store is opened again', async () => {
    const device = memory(1024 * CLUSTER);
    const store = await createStore({ device, clusterSizeBytes: CLUSTER });
    const blob = await store.create({ sizeBytes: 4 * CLUSTER, thin: true, name: 'disk', clearMethod: 'none' });
    await fill(blob, 1, 1);
    const snapshot = await blob.snapshot({ name: 'then' });
    await fill(blob, 2, 1);
    await (await snapshot.clone()).close();
    await snapshot.close();
    await blob.resize(6 * CLUSTER);
    await expectListed(store);
    await blob.close();
    const listed = await expectListed(store);
    await store.close();
    const again = await openStore({ device });
    expect(await again.blobs()).toEqual(listed);
    await again.delete({ name: 'disk' });
    expect((await again.blobs()).map(({ id }) => id)).toEqual(
      listed.map(({ id }) => id).filter((id) => id !== blob.id),
    );
    await again.close();
  });

  test.skipIf(isPooled)('needs no read of the device, however long a line of closed snapshots is', async () => {
    const device = new FaultyDevice(memory(1024 * CLUSTER));
    const made = await createStore({ device, clusterSizeBytes: CLUSTER });
    const blob = await made.create({ sizeBytes: 4 * CLUSTER, thin: true });
    for (let depth = 0; depth < 30; depth++) await (await blob.snapshot()).close();
    await made.close();
    const store = await openStore({ device });
    const before = device.count('read');
    expect(await store.blobs()).toHaveLength(31);
    expect(device.count('read')).toBe(before);
    await store.close();
  });

  test.skipIf(isPooled)('lets the event loop turn when there are many blobs', async () => {
    const device = new SparseMemoryDevice({ sizeBytes: 4096 * CLUSTER });
    const made = await createStore({ device, clusterSizeBytes: CLUSTER });
    for (let at = 0; at < 3000; at++) await (await made.create()).close();
    await made.close();
    // The opening lets the loop turn often while it reads, and at its end once for every 1024 blobs that get their
    // names.
    const visited: number[] = [];
    const store = await openStore({ device, onBlob: () => visited.push(longWorkTurns.passed) });
    expect(visited).toHaveLength(3000);
    expect(new Set(visited).size).toBe(3);
    const before = longWorkTurns.passed;
    expect(await store.blobs()).toHaveLength(3000);
    expect(longWorkTurns.passed - before).toBe(2);
    await store.close();
  });
});

/** Expects that the list has the same of each blob as `info()` of its handle. Returns the list. */
async function expectListed(store: Store): Promise<readonly BlobInfo[]> {
  const listed = await store.blobs();
  for (const info of listed) {
    await using blob = await store.open(info.id);
    expect(await blob.info()).toEqual(info);
  }
  return listed;
}
