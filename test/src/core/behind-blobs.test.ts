/**
 * A channel keeps what it has found in the snapshots behind a blob. This saves later reads the walk through the
 * snapshots, and it must never give them stale data.
 */

import { type Blob, Blobstore, run, runSync } from '@blobyard/core';
import { SparseMemoryDevice } from '@blobyard/io';
import { describe, expect, test } from 'vitest';

const CLUSTER_BYTES = 8192;
const IO_UNIT_BYTES = 512;
const CLUSTERS = 8;

class Line {
  readonly store = runSync(
    Blobstore.init(new SparseMemoryDevice({ sizeBytes: 4096 * CLUSTER_BYTES, blockLengthBytes: 512 }), {
      clusterBytes: CLUSTER_BYTES,
    }),
  );
  readonly channel = this.store.openChannel();
  readonly units = CLUSTER_BYTES / IO_UNIT_BYTES;
  readonly buffer = new Uint8Array(CLUSTER_BYTES);

  make(): Blob {
    return this.open(runSync(this.store.createBlob({ clusterCount: CLUSTERS, thin: true })));
  }

  open(id: bigint): Blob {
    return runSync(this.store.openBlob(id));
  }

  /** The byte that fills a cluster. It is read by the synchronous and by the promise form, whose code differs. */
  async read(blob: Blob, cluster: number): Promise<number> {
    const bytes = [];
    for (const isSync of [true, false]) {
      this.buffer.fill(0xee);
      if (isSync) this.channel.readSync(blob, this.buffer, cluster * this.units, this.units);
      else await this.channel.read(blob, this.buffer, cluster * this.units, this.units);
      expect(this.buffer.every((byte) => byte === this.buffer[0])).toBe(true);
      bytes.push(this.buffer[0]);
    }
    expect(bytes[0]).toBe(bytes[1]);
    return bytes[0];
  }

  write(blob: Blob, cluster: number, value: number): void {
    this.channel.writeSync(blob, new Uint8Array(CLUSTER_BYTES).fill(value), cluster * this.units, this.units);
  }

  snapshot(blob: Blob): bigint {
    return runSync(this.store.createSnapshot(blob.id));
  }

  /** Starts to count the words that are read from blob blocks. Returns a function that returns the count. */
  countWords(): () => number {
    const { blobs } = this.store.shared;
    const load = blobs.load.bind(blobs);
    let count = 0;
    blobs.load = (slot, word) => {
      count++;
      return load(slot, word);
    };
    return () => count;
  }
}

test('the snapshots behind a blob are visited once for each cluster, not once for each read', async () => {
  const line = new Line();
  const blob = line.make();
  for (let cluster = 0; cluster < 4; cluster++) line.write(blob, cluster, cluster + 1);
  for (let made = 0; made < 300; made++) line.snapshot(blob);
  const words = line.countWords();
  for (let cluster = 0; cluster < CLUSTERS; cluster++) await line.read(blob, cluster);
  const first = words();
  expect(first).toBeGreaterThan(300 * CLUSTERS);
  for (let cluster = 0; cluster < CLUSTERS; cluster++) {
    expect(await line.read(blob, cluster)).toBe(cluster < 4 ? cluster + 1 : 0);
  }
  expect(words() - first).toBeLessThan(40 * CLUSTERS);
});

describe('after a cluster was read through two snapshots, it reads the same', () => {
  const changes: [string, (line: Line, blob: Blob, lower: bigint, upper: bigint) => Promise<void>][] = [
    ['when the lower one is deleted', async (line, _blob, lower) => runSync(line.store.deleteBlob(lower))],
    ['when the upper one is deleted', async (line, _blob, _lower, upper) => runSync(line.store.deleteBlob(upper))],
    [
      'when both are',
      async (line, _blob, lower, upper) => {
        runSync(line.store.deleteBlob(lower));
        runSync(line.store.deleteBlob(upper));
      },
    ],
    ['when the blob is inflated', async (line, blob) => run(line.store.inflateBlob(line.channel, blob.id))],
    [
      'when the upper one is decoupled, and the lower one, which no blob needs, is deleted',
      async (line, _blob, lower, upper) => {
        await run(line.store.decoupleBlob(line.channel, upper));
        runSync(line.store.deleteBlob(lower));
      },
    ],
    [
      'when the upper one is inflated, and the cluster of the lower one goes to another blob',
      async (line, _blob, lower, upper) => {
        await run(line.store.inflateBlob(line.channel, upper));
        runSync(line.store.deleteBlob(lower));
        const other = line.make();
        for (let cluster = 0; cluster < CLUSTERS; cluster++) line.write(other, cluster, 99);
      },
    ],
    ['when another snapshot is made', async (line, blob) => void line.snapshot(blob)],
    [
      'when the blob becomes shorter, and longer again',
      async (line, blob) => {
        runSync(line.store.resizeBlob(blob, 1));
        runSync(line.store.syncBlob(blob));
        runSync(line.store.resizeBlob(blob, CLUSTERS));
      },
    ],
  ];
  test.each(changes)('%s', async (_name, change) => {
    const line = new Line();
    const blob = line.make();
    line.write(blob, 0, 1);
    line.write(blob, 3, 3);
    const lower = line.snapshot(blob);
    line.write(blob, 5, 5);
    const upper = line.snapshot(blob);
    const expected = [1, 0, 0, 3, 0, 5, 0, 0];
    const readAll = async () => {
      const read: number[] = [];
      for (let cluster = 0; cluster < CLUSTERS; cluster++) read.push(await line.read(blob, cluster));
      return read;
    };
    expect(await readAll()).toEqual(expected);
    expect(await readAll()).toEqual(expected);
    await change(line, blob, lower, upper);
    expect(await readAll()).toEqual(expected);
    line.write(blob, 0, 11);
    line.write(blob, 1, 12);
    expect(await readAll()).toEqual([11, 12, 0, 3, 0, 5, 0, 0]);
    line.store.verify();
  });
});

test('a blob that gets the place of a closed one in shared memory reads its own data', async () => {
  const line = new Line();
  const clones = [7, 8].map((value) => {
    const blob = line.make();
    line.write(blob, 0, value);
    const snapshot = line.snapshot(blob);
    const clone = runSync(line.store.createClone(snapshot));
    runSync(line.store.closeBlob(blob));
    return clone;
  });
  for (let round = 0; round < 3; round++) {
    for (const [index, id] of clones.entries()) {
      const clone = line.open(id);
      expect(await line.read(clone, 0)).toBe(7 + index);
      expect(await line.read(clone, 0)).toBe(7 + index);
      runSync(line.store.closeBlob(clone));
    }
  }
});

test('a blob that gets the place of a deleted clone in shared memory reads its own data', async () => {
  const line = new Line();
  const blob = line.make();
  line.write(blob, 0, 7);
  const lower = line.snapshot(blob);
  const clone = line.open(runSync(line.store.createClone(lower)));
  expect([await line.read(clone, 0), await line.read(clone, 0)]).toEqual([7, 7]);
  runSync(line.store.closeBlob(clone));
  runSync(line.store.deleteBlob(clone.id));
  line.write(blob, 0, 8);
  const upper = line.snapshot(blob);
  const next = line.open(runSync(line.store.createClone(upper)));
  expect(await line.read(next, 0)).toBe(8);
});

test('a read that a freezer waits for does not keep what it finds behind its blob', async () => {
  const line = new Line();
  const blob = line.make();
  line.write(blob, 0, 1);
  const snapshot = line.snapshot(blob);
  const { shared } = line.store;
  const freezes = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(shared), 'freezes')?.get;
  let inflating: Promise<void> | undefined;
  Object.defineProperty(shared, 'freezes', {
    configurable: true,
    get() {
      // The read has entered the blob and seen that its cluster is not allocated; next it looks behind the blob.
      inflating ??= run(line.store.inflateBlob(line.store.openChannel(), blob.id));
      return freezes?.call(shared);
    },
  });
  await line.channel.read(blob, line.buffer, 0, line.units);
  expect(line.buffer[0]).toBe(1);
  Reflect.deleteProperty(shared, 'freezes');
  await inflating;
  runSync(line.store.deleteBlob(snapshot));
  const other = line.make();
  // One of the clusters that the other blob gets was the snapshot's.
  for (let cluster = 0; cluster < CLUSTERS; cluster++) line.write(other, cluster, 99);
  line.snapshot(blob);
  expect(await line.read(blob, 0)).toBe(1);
  line.store.verify();
});
