/** A full store: writes that need a cluster fail, all else goes on, and all bytes reported as free can be written. */

import { type Blob, MemoryDevice, type Store } from 'blobyard';
import fc from 'fast-check';
import { describe, expect, onTestFinished, test } from 'vitest';
import {
  bytes,
  CLUSTER,
  createStore,
  expectCode,
  expectSame,
  isPooled,
  leave,
  MiB,
  openStore,
  verify,
} from '../api/support.js';
import { FUZZ_TIMEOUT_MS, fuzzRuns } from '../fuzz-runs.js';

const UNIT = 512;

function device(sizeBytes = MiB): MemoryDevice {
  return MemoryDevice.create({ sizeBytes, blockLengthBytes: UNIT, arenaBytes: 64 * 1024 });
}

async function smallStore(options: object = {}): Promise<Store> {
  const store = await createStore({ device: device(), clusterSizeBytes: CLUSTER, mdPageCount: 40, ...options });
  onTestFinished(() => store.close());
  return store;
}

async function freeBytes(store: Store): Promise<number> {
  return (await store.stats()).freeBytes;
}

/** Writes to one cluster after another until none is free. Returns the number of clusters that were written. */
async function fill(blob: Blob, from = 0): Promise<number> {
  for (let done = 0; ; done++) {
    const failed = await blob.write(bytes(UNIT, done), (from + done) * CLUSTER).catch((error: unknown) => error);
    if (failed === undefined) continue;
    expect(failed).toMatchObject({ code: 'ENOSPC' });
    return done;
  }
}

/** Expects that exactly the bytes that the store reports as free can be written. Frees them again. */
async function expectExact(store: Store): Promise<void> {
  const free = await freeBytes(store);
  const filler = await store.create({ sizeBytes: free + CLUSTER, thin: true });
  expect((await fill(filler)) * CLUSTER).toBe(free);
  expect(await freeBytes(store)).toBe(0);
  await filler.close();
  await store.delete(filler.id);
  expect(await freeBytes(store)).toBe(free);
}

describe('in a full store', () => {
  test('the write that needs a cluster fails, and all else goes on', async () => {
    const store = await smallStore();
    const total = (await freeBytes(store)) / CLUSTER;
    const [full, other] = [
      await store.create({ sizeBytes: total * CLUSTER, thin: true }),
      await store.create({ sizeBytes: 4 * CLUSTER, thin: true, name: 'other' }),
    ];
    await other.write(bytes(CLUSTER, 5), 0);
    expect(await fill(full)).toBe(total - 1);
    for (let round = 0; round < 3; round++) {
      await expectCode(full.write(bytes(UNIT), (total - 1) * CLUSTER), 'ENOSPC');
      await expectCode(other.writeZeroes(CLUSTER, 10), 'ENOSPC');
      await expectCode(() => other.writeSync(bytes(UNIT), CLUSTER), 'ENOSPC');
    }
    await other.write(bytes(CLUSTER, 6), 0); // the blob has this cluster already
    expectSame(await other.read(0, CLUSTER), bytes(CLUSTER, 6));
    expectSame(await other.read(CLUSTER, CLUSTER), new Uint8Array(CLUSTER));
    expectSame(other.readSync(10, 100), bytes(CLUSTER, 6).subarray(10, 110));
    await other.xattrs.set('still', 'works');
    const snapshot = await other.snapshot();
    await expectCode(other.write(bytes(1), 0), 'ENOSPC'); // a copy-on-write needs a cluster
    expectSame(await other.read(0, CLUSTER), bytes(CLUSTER, 6));
    await store.flush();
    await full.trim(3 * CLUSTER, CLUSTER);
    expect(await freeBytes(store)).toBe(CLUSTER);
    await other.write(bytes(1), 0);
    expect(await freeBytes(store)).toBe(0);
    await full.close();
    await store.delete(full.id);
    await other.write(bytes(3 * CLUSTER, 8), CLUSTER);
    expectSame(await other.read(CLUSTER, 3 * CLUSTER), bytes(3 * CLUSTER, 8));
    expectSame(await snapshot.read(0, CLUSTER), bytes(CLUSTER, 6));
    verify(store);
  });

  test('of writes that race for the last clusters, as many succeed as there are clusters', async () => {
    for (const left of [0, 1, 7]) {
      const store = await smallStore({ requestsMax: 64 });
      const total = (await freeBytes(store)) / CLUSTER;
      const blobs = await Promise.all([1, 2, 3].map(() => store.create({ sizeBytes: total * CLUSTER, thin: true })));
      for (let cluster = 0; cluster < total - left; cluster++) await blobs[0].write(bytes(UNIT), cluster * CLUSTER);
      const racing = blobs.flatMap((blob) => {
        return Array.from({ length: 8 }, (_, at) => blob.write(bytes(UNIT, at), (total - 1 - at) * CLUSTER));
      });
      const outcomes = await Promise.allSettled(racing);
      const done = outcomes.filter(({ status }) => status === 'fulfilled').length;
      const taken = blobs.length * 8 - done;
      // Writes of the first blob to clusters that it has already need no new cluster.
      const had = Math.max(0, 8 - left);
      expect([done, taken]).toEqual([had + left, blobs.length * 8 - had - left]);
      for (const outcome of outcomes)
        if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject({ code: 'ENOSPC' });
      expect(await freeBytes(store)).toBe(0);
      verify(store);
      await store.close();
    }
  });

  test('without a free metadata page, operations that need one fail, and no others', async () => {
    const store = await smallStore({ mdPageCount: 6 });
    const blobs: Blob[] = [];
    for (;;) {
      const made = await store.create({ sizeBytes: CLUSTER, thin: true }).catch((error: unknown) => error);
      if (!('write' in (made as object))) {
        expect(['ENOMEM', 'ENOSPC']).toContain((made as { code: string }).code);
        break;
      }
      blobs.push(made as Blob);
    }
    expect(blobs.length).toBeGreaterThan(2);
    const free = await freeBytes(store);
    await expectCode(blobs[0].write(bytes(UNIT), 0), 'ENOSPC', /metadata/); // it needs an extent page
    expect(await freeBytes(store)).toBe(free); // no cluster was allocated
    await expectCode(blobs[0].snapshot(), 'ENOMEM');
    const [last] = blobs.splice(-1);
    await last.close();
    await store.delete(last.id);
    await blobs[0].write(bytes(UNIT, 3), 0);
    expectSame(await blobs[0].read(0, UNIT), bytes(UNIT, 3));
    expect(await freeBytes(store)).toBe(free - CLUSTER);
    verify(store);
  });

  test('a thick blob, an inflation and a resize that do not fit change nothing', async () => {
    const store = await smallStore();
    const free = await freeBytes(store);
    const thin = await store.create({ sizeBytes: free + CLUSTER, thin: true });
    await thin.write(bytes(UNIT), 0);
    await expectCode(thin.inflate(), 'ENOSPC');
    expect(await freeBytes(store)).toBeLessThanOrEqual(free - CLUSTER);
    await thin.resize(CLUSTER);
    await thin.sync();
    expect(await freeBytes(store)).toBe(free - CLUSTER);
    await expectCode(store.create({ sizeBytes: free }), 'ENOSPC');
    const thick = await store.create({ sizeBytes: free - 2 * CLUSTER });
    await expectCode(thick.resize(free), 'ENOSPC');
    expect([await freeBytes(store), thick.sizeBytes]).toEqual([CLUSTER, free - 2 * CLUSTER]);
    await expectExact(store);
    verify(store);
  });
});

/** An operation on a blob or on the store, between two checks of the free space. */
const anyAction = fc.record({
  what: fc.constantFrom(
    'create',
    'thick',
    'write',
    'trim',
    'snapshot',
    'clone',
    'inflate',
    'resize',
    'delete',
    'sync',
    'reopen',
    'crash',
  ),
  blob: fc.nat(7),
  at: fc.nat(7),
});

class Accounts {
  readonly #memory = device();
  #store!: Store;
  #blobs: Blob[] = [];

  async begin(): Promise<void> {
    this.#store = await createStore({ device: this.#memory, clusterSizeBytes: CLUSTER, mdPageCount: 60 });
  }

  async act(what: string, blob: number, at: number): Promise<void> {
    const target = this.#blobs[blob % Math.max(1, this.#blobs.length)];
    switch (what) {
      case 'create':
        return this.#keep(await this.#store.create({ sizeBytes: 8 * CLUSTER, thin: true }));
      case 'thick':
        return this.#keep(await this.#store.create({ sizeBytes: 3 * CLUSTER }));
      case 'reopen':
        await this.#store.close();
        return this.#open();
      case 'crash':
        if (isPooled) return; // a store with threads cannot be abandoned
        await leave(this.#store);
        return this.#open();
    }
    if (target === undefined) return;
    const end = target.sizeBytes / CLUSTER;
    if (what === 'write' && end > 0) await target.write(bytes(700, at), (at % end) * CLUSTER);
    if (what === 'trim' && end > 0) await target.trim((at % end) * CLUSTER, CLUSTER);
    if (what === 'snapshot') this.#keep(await target.snapshot());
    if (what === 'clone') this.#keep(await target.clone());
    if (what === 'inflate') await target.inflate();
    if (what === 'resize') await target.resize(at * CLUSTER);
    if (what === 'sync') await target.sync();
    if (what === 'delete') await this.#delete(target);
  }

  async check(): Promise<void> {
    await expectExact(this.#store);
    verify(this.#store);
  }

  async end(): Promise<void> {
    await this.#store.close();
  }

  #keep(blob: Blob): void {
    this.#blobs.push(blob);
  }

  async #delete(blob: Blob): Promise<void> {
    await blob.close();
    try {
      await this.#store.delete(blob.id);
      this.#blobs = this.#blobs.filter((each) => each !== blob);
    } catch {
      this.#blobs[this.#blobs.indexOf(blob)] = await this.#store.open(blob.id); // not deleted: it has several clones
    }
  }

  async #open(): Promise<void> {
    this.#store = await openStore({ device: this.#memory });
    this.#blobs = [];
    for (const { id } of await this.#store.blobs()) this.#keep(await this.#store.open(id));
  }
}

/** The number of runs. It is small with threads, because opening a store takes long then. */
const RUNS = isPooled ? 4 : 60;

test('all bytes reported as free can be written after any operations', { timeout: FUZZ_TIMEOUT_MS }, async () => {
  const play = async (actions: readonly { what: string; blob: number; at: number }[]) => {
    const accounts = new Accounts();
    await accounts.begin();
    for (const { what, blob, at } of actions) {
      await accounts.act(what, blob, at).catch((error: { code?: string }) => {
        if (!['ENOSPC', 'EINVAL', 'EPERM', 'ENOMEM'].includes(error.code ?? '')) throw error;
      });
      await accounts.check();
    }
    await accounts.end();
  };
  await fc.assert(fc.asyncProperty(fc.array(anyAction, { minLength: 1, maxLength: 30 }), play), fuzzRuns(RUNS));
});
