/** A blob that shrinks and grows again before a sync: after the sync its tail is the same on disk as in memory. */

import { type Blob, Blobstore, type Channel, type Durability, type LoadOptions, runSync } from '@blobyard/core';
import { SparseMemoryDevice } from '@blobyard/io';
import { describe, expect, test } from 'vitest';

const CLUSTER_BYTES = 4096;
/** The clusters that the tests read. */
const CLUSTERS = [0, 50, 100, 300, 599];

const cases = (['power-loss', 'process-crash'] as const).flatMap((durability) =>
  [true, false].flatMap((useExtentTable) =>
    [true, false].map((thin): [Durability, boolean, boolean] => [durability, useExtentTable, thin]),
  ),
);

/** A store with a blob of 600 clusters that was cut to 200 in memory, written, and made as long again. */
class Regrown {
  readonly #device = new SparseMemoryDevice({ sizeBytes: 2000 * CLUSTER_BYTES });
  readonly #options: LoadOptions;
  readonly id: bigint;
  store: Blobstore;
  blob: Blob;
  #channel: Channel;

  constructor(durability: Durability, useExtentTable: boolean, thin: boolean) {
    this.#options = { clusterBytes: CLUSTER_BYTES, durability };
    this.store = runSync(Blobstore.init(this.#device, { ...this.#options, mdPageCount: 64 }));
    this.id = runSync(this.store.createBlob({ clusterCount: 600, thin, useExtentTable }));
    this.blob = runSync(this.store.openBlob(this.id));
    this.#channel = this.store.openChannel();
    for (const cluster of [0, 100, 300, 599]) this.write(cluster, 1);
    runSync(this.store.syncBlob(this.blob));
    runSync(this.store.resizeBlob(this.blob, 200));
    this.write(50, 2); // with 'process-crash' this writes an extent page
    runSync(this.store.resizeBlob(this.blob, 600));
  }

  write(cluster: number, value: number): void {
    this.#channel.writeSync(this.blob, new Uint8Array(CLUSTER_BYTES).fill(value), cluster, 1);
  }

  /** The first byte of each cluster in `CLUSTERS`. */
  read(): number[] {
    const bytes = new Uint8Array(CLUSTER_BYTES);
    return CLUSTERS.map((cluster) => {
      this.#channel.readSync(this.blob, bytes, cluster, 1);
      return bytes[0];
    });
  }

  load(options: LoadOptions = {}, id = this.id): void {
    this.store = runSync(Blobstore.load(this.#device, { ...this.#options, ...options }));
    this.#channel = this.store.openChannel();
    this.open(id);
  }

  open(id: bigint): void {
    this.blob = runSync(this.store.openBlob(id));
  }
}

describe.each(cases)('%s, extent table %s, thin %s', (durability, useExtentTable, thin) => {
  test('unloading writes the tail', () => {
    const regrown = new Regrown(durability, useExtentTable, thin);
    regrown.write(300, 3); // into the cluster that the blob had there before
    regrown.write(599, 4);
    expect(regrown.read()).toEqual([1, 2, 1, 3, 4]);
    regrown.store.verify();
    for (const forceRecover of [false, true]) {
      runSync(regrown.store.closeBlob(regrown.blob));
      runSync(regrown.store.unload());
      regrown.load({ forceRecover });
      expect(regrown.read()).toEqual([1, 2, 1, 3, 4]);
      expect(regrown.store.freeClusterCount).toBe(regrown.store.dataClusterCount - (thin ? 5 : 600));
    }
  });

  test('a snapshot keeps the tail, also on disk', () => {
    const regrown = new Regrown(durability, useExtentTable, thin);
    const before = regrown.read();
    const snapshot = runSync(regrown.store.createSnapshot(regrown.id));
    expect(regrown.read()).toEqual(before);
    regrown.store.verify();
    runSync(regrown.store.abandon());
    regrown.load({}, snapshot);
    runSync(regrown.store.audit());
    expect(regrown.read()).toEqual(before);
    regrown.open(regrown.id);
    expect(regrown.read()).toEqual(before);
  });
});
