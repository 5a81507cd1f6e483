/** Damage of each kind, one by one: what is refused, how the error describes it, and which clusters stay reserved. */

import { type Blob, Blobstore, BlobstoreError, checkStore, crc32c, DamagedStoreError, runSync } from '@blobyard/core';
import { describe, expect, it } from 'vitest';
import { ImageDevice } from './image-device.js';

const CLUSTER = 4096;
const PAGE = 4096;

class Bench {
  readonly device: ImageDevice;
  readonly durability: 'power-loss' | 'process-crash';
  store: Blobstore;

  constructor(durability: 'power-loss' | 'process-crash' = 'power-loss', clusters = 3000, mdPageCount = 64) {
    this.device = new ImageDevice(new Uint8Array(clusters * CLUSTER));
    this.durability = durability;
    this.store = runSync(
      Blobstore.init(this.device, { clusterBytes: CLUSTER, mdPageCount, durability, highWater: false }),
    );
  }

  create(clusterCount: number, thin = false): Blob {
    return this.open(runSync(this.store.createBlob({ clusterCount, thin })));
  }

  open(id: bigint): Blob {
    return runSync(this.store.openBlob(id));
  }

  load(onDamage?: 'refuse' | 'set-aside'): void {
    const { durability } = this;
    this.store = runSync(Blobstore.load(this.device, { clusterBytes: CLUSTER, durability, onDamage }));
  }

  /** Flushes the store, and leaves it as a killed process does. */
  crash(): void {
    runSync(this.store.flush());
    runSync(this.store.abandon());
  }

  at(page: number): number {
    return (this.store.geometry.mdStartPage + page) * PAGE;
  }

  flip(page: number): void {
    this.device.bytes[this.at(page) + 4095] ^= 1;
  }

  refusal(): DamagedStoreError {
    const error = failureOf(() => this.load('refuse'));
    expect(error).toBeInstanceOf(DamagedStoreError);
    return error as DamagedStoreError;
  }

  fill(): number[] {
    const blob = this.create(10_000, true);
    const channel = this.store.openChannel();
    const taken: number[] = [];
    const full = failureOf(() => {
      for (let at = 0; ; at++) {
        channel.writeSync(blob, new Uint8Array(CLUSTER).fill(1), at, 1);
        taken.push(blob.clusterAt(at));
      }
    });
    expect(full?.code).toBe('ENOSPC');
    return taken;
  }
}

function failureOf(action: () => void): BlobstoreError | undefined {
  try {
    action();
    return undefined;
  } catch (error) {
    expect(error).toBeInstanceOf(BlobstoreError);
    return error as BlobstoreError;
  }
}

function clustersOf(blob: Blob): number[] {
  return Array.from({ length: blob.clusterCount }, (_, at) => blob.clusterAt(at) as number).filter((at) => at !== 0);
}

describe('a damaged store', () => {
  it('is refused after a crash, where the specification would lose the blob; the error names page and blob', () => {
    const bench = new Bench();
    const bad = bench.create(4);
    bench.create(4);
    bench.crash();
    bench.flip(bad.page);
    const refusal = bench.refusal();
    expect(refusal.code).toBe('EILSEQ');
    expect(refusal.message).toContain(`page ${bad.page} `);
    expect(refusal.message).toContain(`blob ${bad.id} `);
    expect(refusal.damaged.map(({ id }) => id)).toEqual([bad.id]);
  });

  it('is refused with an error that names the first few blobs, counts the rest, and has a list of all', () => {
    const bench = new Bench();
    const bad = Array.from({ length: 12 }, () => bench.create(1));
    bench.crash();
    for (const { page } of bad) bench.flip(page);
    const refusal = bench.refusal();
    expect(refusal.message).toContain('and 4 more');
    expect(refusal.damaged.map(({ id }) => id)).toEqual(bad.map(({ id }) => id));
  });

  it.each(['clean', 'dirty'])(
    'keeps the clusters of a blob whose extent page is lost, and has free space beyond them: %s',
    (how) => {
      const bench = new Bench();
      const bad = bench.create(4);
      const had = clustersOf(bad);
      const good = bench.create(3, true);
      bench.store.openChannel().writeSync(good, new Uint8Array(CLUSTER).fill(9), 1, 1);
      const extentPage = bad.map.extentPages.get(0);
      const { freeClusterCount } = bench.store;
      if (how === 'clean') {
        for (const blob of [bad, good]) runSync(bench.store.closeBlob(blob));
        runSync(bench.store.unload());
      } else bench.crash();
      bench.device.bytes.fill(0xff, bench.at(extentPage), bench.at(extentPage) + PAGE);
      bench.refusal();
      bench.load('set-aside');
      expect(bench.store.damaged.map(({ id }) => id)).toEqual([bad.id]);
      expect(bench.store.freeClusterCount).toBeGreaterThan(freeClusterCount - 1200);
      const again = bench.open(good.id);
      const read = new Uint8Array(CLUSTER);
      bench.store.openChannel().readSync(again, read, 1, 1);
      expect(read[0]).toBe(9);
      const taken = bench.fill();
      expect(had.filter((cluster) => taken.includes(cluster))).toEqual([]);
      expect(failureOf(() => runSync(bench.store.deleteBlob(bad.id)))?.code).toBe('EINVAL');
    },
  );

  it('has no free space, and says so, if it is unknown which clusters were in use', () => {
    const bench = new Bench('process-crash'); // this store has no high-water mark, as in the reference
    const bad = bench.create(4);
    bench.create(4);
    bench.crash();
    bench.flip(bad.map.extentPages.get(0));
    bench.load('set-aside');
    expect(bench.store.freeClusterCount).toBe(0);
    expect(bench.store.damaged[0].error.message).toContain('no free space');
  });

  it('is refused if two blobs name the same cluster, or one blob a cluster twice', () => {
    const bench = new Bench();
    const [a, b, twice, sound] = [bench.create(2), bench.create(2), bench.create(2), bench.create(2)];
    bench.crash();
    rename(bench, a, 1, b.clusterAt(0));
    rename(bench, twice, 1, twice.clusterAt(0));
    const named = bench.refusal().damaged.map(({ id }) => id);
    expect(named).toEqual([a.id, b.id, twice.id]);
    bench.load('set-aside');
    expect(bench.open(sound.id).clusterCount).toBe(2);
    expect(failureOf(() => bench.open(b.id))?.message).toContain(`blob ${a.id}`);
  });

  it('is refused if a blob names a cluster of the store’s own metadata', () => {
    const bench = new Bench();
    const blob = bench.create(2);
    bench.crash();
    rename(bench, blob, 1, 1);
    expect(bench.refusal().damaged.map(({ id }) => id)).toEqual([blob.id]);
  });

  it('keeps the snapshot of a damaged clone, and the id of a lost one', () => {
    const bench = new Bench();
    const original = bench.create(4);
    bench.store.openChannel().writeSync(original, new Uint8Array(CLUSTER).fill(3), 0, 1);
    const snapshot = runSync(bench.store.createSnapshot(original.id));
    const lost = runSync(bench.store.createSnapshot(original.id));
    bench.crash();
    const lostPage = Number(lost & 0xffff_ffffn);
    bench.device.bytes.fill(0, bench.at(lostPage), bench.at(lostPage) + PAGE);
    bench.load('set-aside');
    expect(bench.store.damaged.map(({ id }) => id)).toEqual([original.id]);
    expect(failureOf(() => runSync(bench.store.deleteBlob(snapshot)))?.code).toBe('EBUSY');
    const made = Array.from({ length: 20 }, () => runSync(bench.store.createBlob()));
    expect(made).not.toContain(lost);
  });

  it('is refused if a snapshot is lost whose clone cannot be opened for another reason', () => {
    const bench = new Bench();
    const clone = bench.create(4);
    const snapshot = runSync(bench.store.createSnapshot(clone.id));
    bench.crash();
    const view = new DataView(bench.device.bytes.buffer);
    const at = bench.at(clone.page);
    view.setUint32(at + 16 + 5, view.getUint32(at + 16 + 5, true) | 0x100, true); // a flag of a newer version
    seal(bench, at);
    bench.load('refuse');
    runSync(bench.store.abandon());
    bench.flip(Number(snapshot & 0xffff_ffffn));
    expect(bench.refusal().damaged.map(({ id }) => id)).toEqual([snapshot]);
  });

  it('is still damaged after an unload, and the clusters of a blob that was set aside are still reserved', () => {
    const bench = new Bench();
    const bad = bench.create(4);
    const had = clustersOf(bad);
    bench.crash();
    bench.flip(bad.page);
    bench.load('set-aside');
    runSync(bench.store.unload());
    expect(bench.refusal().damaged.map(({ id }) => id)).toEqual([bad.id]);
    bench.load('set-aside');
    const taken = bench.fill();
    expect(had.filter((cluster) => taken.includes(cluster))).toEqual([]);
    bench.crash();
    bench.flip(bad.page); // undoes the damage
    bench.load('refuse');
    expect(clustersOf(bench.open(bad.id))).toEqual(had);
  });

  it('does not lose a blob that is missing in the masks: these are rebuilt', () => {
    const bench = new Bench();
    const blob = bench.create(4);
    const had = clustersOf(blob);
    runSync(bench.store.closeBlob(blob));
    runSync(bench.store.unload());
    const view = new DataView(bench.device.bytes.buffer);
    for (const field of [32, 40, 72]) {
      const at = view.getUint32(field, true) * PAGE + 5;
      bench.device.bytes.fill(0, at, at + 100);
    }
    bench.load('refuse');
    expect(bench.store.damaged).toEqual([]);
    expect(clustersOf(bench.open(blob.id))).toEqual(had);
  });

  it('gets no new blob by a bit in the mask of blob ids for a page that belongs to another blob', () => {
    const bench = new Bench();
    const blob = bench.create(4);
    const extentPage = blob.map.extentPages.get(0);
    runSync(bench.store.closeBlob(blob));
    runSync(bench.store.unload());
    const mask = new DataView(bench.device.bytes.buffer).getUint32(72, true) * PAGE + 5;
    bench.device.bytes[mask + (extentPage >> 3)] |= 1 << (extentPage & 7);
    expect(runSync(checkStore(bench.device)).findings.map(({ kind }) => kind)).toEqual(['mask']);
    for (const onDamage of ['refuse', 'set-aside'] as const) {
      bench.load(onDamage);
      expect(bench.store.damaged).toEqual([]);
      runSync(bench.store.abandon());
    }
    bench.load('refuse');
    runSync(bench.store.deleteBlob(blob.id));
    for (let more = 0; more < 10; more++) bench.create(1); // one of them begins on that page
    expect(bench.store.blobIds()).toHaveLength(10);
  });

  it('is not what a crash leaves: old pages that no blob names are not damage', () => {
    const bench = new Bench();
    const blob = bench.create(4);
    for (let at = 0; at < 4; at++) bench.store.setXattr(blob, `x${at}`, new Uint8Array(3000).fill(at));
    runSync(bench.store.syncBlob(blob));
    const old = bench.device.bytes.slice(bench.at(blob.chain[2]), bench.at(blob.chain[2]) + PAGE);
    const oldExtents = bench.device.bytes.slice(
      bench.at(blob.map.extentPages.get(0)),
      bench.at(blob.map.extentPages.get(0)) + PAGE,
    );
    bench.crash();
    bench.device.bytes.set(old, bench.at(50));
    bench.device.bytes.set(oldExtents, bench.at(51));
    bench.load('refuse');
    expect(bench.store.damaged).toEqual([]);
  });
});

describe('time and memory are limited for', () => {
  it('a blob whose metadata has a huge number of clusters', () => {
    const bench = new Bench('power-loss', 300);
    const blob = runSync(bench.store.createBlob({ clusterCount: 3, thin: true, useExtentTable: false }));
    bench.crash();
    const view = new DataView(bench.device.bytes.buffer);
    const at = bench.at(Number(blob & 0xffff_ffffn));
    let runs = 16;
    while (bench.device.bytes[at + runs] !== 1) runs += 5 + view.getUint32(at + runs + 1, true);
    view.setUint32(at + runs + 9, 0xffff_ffff, true);
    seal(bench, at);
    bench.load('refuse');
    expect(bench.store.damaged.map(({ error }) => error.code)).toEqual(['ENOMEM']);
    expect(bench.store.shared.buffers.maps.byteLength).toBeLessThan(2 ** 20);
    expect(failureOf(() => bench.create(2 ** 21, true))?.code).toBe('ENOMEM');
    expect(bench.create(2 ** 20, true).clusterCount).toBe(2 ** 20);
  });

  it('a line of thousands of snapshots that is made, read, opened and recovered', { timeout: 120_000 }, () => {
    const depth = 4000;
    const bench = new Bench('process-crash', 2 * depth, depth + 500);
    const id = runSync(bench.store.createBlob({ clusterCount: 2, thin: true, useExtentTable: false }));
    const blob = bench.open(id);
    bench.store.openChannel().writeSync(blob, new Uint8Array(CLUSTER).fill(8), 1, 1);
    for (let made = 0; made < depth; made++) {
      bench.device.operations = 0;
      runSync(bench.store.createSnapshot(id));
    }
    runSync(bench.store.abandon());
    for (const onDamage of [undefined, 'refuse'] as const) {
      bench.device.operations = 0;
      bench.load(onDamage);
      expect(bench.store.damaged).toEqual([]);
      const read = new Uint8Array(CLUSTER);
      const again = bench.open(id);
      bench.store.openChannel().readSync(again, read, 1, 1);
      expect(read[0]).toBe(8);
      runSync(bench.store.closeBlob(again));
      runSync(bench.store.unload());
    }
  });
});

/** Changes a cluster number in a blob's extent page, and updates its crc. */
function rename(bench: Bench, blob: Blob, index: number, cluster: number): void {
  const at = bench.at(blob.map.extentPages.get(0));
  new DataView(bench.device.bytes.buffer).setUint32(at + 16 + 5 + 4 + index * 4, cluster, true);
  seal(bench, at);
}

function seal(bench: Bench, at: number): void {
  const view = new DataView(bench.device.bytes.buffer);
  view.setUint32(at + 4092, crc32c(bench.device.bytes, at, 4092), true);
}
