/**
 * `blobs()` keeps its last list for the next call. Whatever happens in between, the next list shows what each blob's own
 * `info` shows, and a list that was handed out before stays as it was.
 */

import type { Blob, BlobInfo, Store } from 'blobyard/types';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { Blobstore } from '../../../packages/core/dist/index.js';
import { Random } from '../random.js';
import { CLUSTER, createStore, isPooled, memory, usable } from './support.js';

const CLUSTERS = 8;

async function newStore(): Promise<Store> {
  return createStore({ device: usable(memory(4096 * CLUSTER)), clusterSizeBytes: CLUSTER });
}

/** The list, asked for twice, so that the second one may come from the first one. */
async function listed(store: Store): Promise<BlobInfo[]> {
  const first = await store.blobs();
  const second = await store.blobs();
  expect(second).toEqual(first);
  return second;
}

/** What each blob's own info shows. */
async function infos(store: Store, ids: Iterable<bigint>): Promise<BlobInfo[]> {
  const found: BlobInfo[] = [];
  for (const id of [...ids].sort((one, other) => Number(one - other))) {
    const blob = await store.open(id);
    found.push(await blob.info());
    await blob.close();
  }
  return found;
}

afterEach(() => {
  vi.restoreAllMocks();
});

describe('a list that is asked for again', () => {
  test.each([1, 2, 3])('shows every change in between (seed %i)', async (seed) => {
    const random = new Random(seed, 'lists');
    await using store = await newStore();
    const ids = new Set<bigint>();
    const open: Blob[] = [];
    const anyId = () => [...ids][random.below(ids.size)];
    const anyOpen = () => open[random.below(open.length)];
    const keep = (blob: Blob) => {
      ids.add(blob.id);
      open.push(blob);
    };
    const steps: Record<string, () => Promise<unknown>> = {
      create: async () => keep(await store.create({ sizeBytes: CLUSTERS * CLUSTER, thin: random.below(2) === 0 })),
      open: async () => open.push(await store.open(anyId())),
      close: async () => open.splice(random.below(open.length), 1)[0]?.close(),
      write: () => anyOpen().write(new Uint8Array(512).fill(7), random.below(CLUSTERS) * CLUSTER),
      trim: () => anyOpen().trim(random.below(CLUSTERS) * CLUSTER, CLUSTER),
      resize: () => anyOpen().resize((4 + random.below(CLUSTERS)) * CLUSTER),
      snapshot: async () => keep(await anyOpen().snapshot()),
      clone: async () => keep(await anyOpen().clone()),
      inflate: () => anyOpen().inflate(),
      decouple: () => anyOpen().decouple(),
      rename: () => anyOpen().xattrs.set('name', `name ${random.below(1000)}`),
      freeze: () => anyOpen().setReadOnly(),
      flush: () => store.flush(),
      delete: async () => {
        const id = anyId();
        for (let at = open.length - 1; at >= 0; at--) if (open[at].id === id) await open.splice(at, 1)[0].close();
        await store.delete(id);
        ids.delete(id);
      },
    };
    await steps.create();
    const names = Object.keys(steps);
    const done = new Set<string>();
    for (let step = 0; step < 250; step++) {
      if (ids.size === 0) await steps.create();
      const name = open.length === 0 ? 'open' : names[random.below(names.length)];
      await store.blobs();
      // Many steps are refused: of a read-only blob, of a blob with clones, of one that is open.
      await steps[name]().then(
        () => done.add(name),
        () => undefined,
      );
      const list = await listed(store);
      expect([name, list]).toEqual([name, await infos(store, ids)]);
    }
    expect([...done].sort()).toEqual(names.sort());
    for (const blob of open) await blob.close();
  });

  test('is the caller’s own, and its infos are not changed later', async () => {
    await using store = await newStore();
    const blob = await store.create({ sizeBytes: CLUSTERS * CLUSTER, thin: true, name: 'first' });
    const other = await store.create({ sizeBytes: CLUSTER, name: 'second' });
    await other.close();
    const list = await listed(store);
    const before = structuredClone(list);
    (await store.blobs()).length = 0;
    (await store.blobs()).reverse();
    await blob.write(new Uint8Array(512), 0);
    await blob.xattrs.set('name', 'third');
    expect(await store.blobs()).not.toEqual(before);
    expect(list).toEqual(before);
  });

  test('shows what an inflation of a read-only blob has allocated before it was aborted', async () => {
    await using store = await newStore();
    const blob = await store.create({ sizeBytes: CLUSTERS * CLUSTER, thin: true });
    await blob.setReadOnly();
    expect(await listed(store)).toMatchObject([{ allocatedBytes: 0, readOnly: true }]);
    const abort = new AbortController();
    const inflation = blob.inflate({ signal: abort.signal, onProgress: () => abort.abort() });
    await expect(inflation).rejects.toThrow(expect.objectContaining({ code: 'ABORT_ERR' }));
    const { allocatedBytes } = await blob.info();
    expect(allocatedBytes).toBeGreaterThan(0);
    expect(await listed(store)).toMatchObject([{ allocatedBytes, readOnly: true }]);
  });

  test.skipIf(isPooled)('looks again only at blobs that transfers can change', async () => {
    await using store = await newStore();
    const blob = await store.create({ sizeBytes: CLUSTERS * CLUSTER, thin: true });
    for (let snapshots = 0; snapshots < 40; snapshots++) await (await blob.snapshot()).close();
    const looks = vi.spyOn(Blobstore.prototype, 'summaryAt');
    await store.blobs();
    expect(looks).toHaveBeenCalledTimes(41);
    looks.mockClear();
    expect(await store.blobs()).toHaveLength(41);
    expect(looks).toHaveBeenCalledTimes(1);
    await blob.write(new Uint8Array(512), 0);
    const [leaf] = (await store.blobs()).filter(({ id }) => id === blob.id);
    expect(leaf.allocatedBytes).toBe(CLUSTER);
  });
});
