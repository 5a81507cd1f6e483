/**
 * Lingering blobs: their last handle was dropped while their metadata could not be written. The store keeps them until
 * it can write them, and nothing is lost.
 */

import { type Blob, Blobstore, BlobstoreError, run, runSync } from '@blobyard/core';
import { SparseMemoryDevice } from '@blobyard/io';
import { describe, expect, test } from 'vitest';

const CLUSTER_BYTES = 4096;
const BLOBS = 4;
const MARK = 'mark';

/**
 * A store with some blobs, each with an xattr that is not on disk. The device fails to write the blocks in `failing`.
 */
class LingeringYard {
  readonly device = new SparseMemoryDevice({ sizeBytes: 256 * CLUSTER_BYTES, blockLengthBytes: 4096 });
  readonly store: Blobstore;
  readonly blobs: Blob[] = [];
  readonly failing = new Set<number>();

  constructor() {
    const openChannel = this.device.openChannel.bind(this.device);
    this.device.openChannel = () => {
      const channel = openChannel();
      const write = channel.write.bind(channel);
      channel.write = (buffer, at, lba, count) => {
        if (this.failing.has(lba)) throw new BlobstoreError('EIO', `block ${lba} cannot be written`);
        return write(buffer, at, lba, count);
      };
      return channel;
    };
    this.store = runSync(Blobstore.init(this.device, { clusterBytes: CLUSTER_BYTES, mdPageCount: 32 }));
    for (let index = 0; index < BLOBS; index++) {
      const id = runSync(this.store.createBlob({ clusterCount: 2, thin: true }));
      const blob = runSync(this.store.openBlob(id));
      this.blobs.push(blob);
      this.store.setXattr(blob, MARK, Uint8Array.of(1 + index));
    }
  }

  /** Makes writes of a blob's root fail. */
  fail(index: number): void {
    this.failing.add(this.store.geometry.mdPageToLba(this.blobs[index].page));
  }

  dropAll(): void {
    for (const blob of this.blobs) runSync(this.store.dropBlob(blob));
  }

  /** The value of each blob's xattr on disk, or 0, as the next process that opens the store finds it. */
  kept(): number[] {
    this.failing.clear();
    const found = runSync(Blobstore.load(this.device, { clusterBytes: CLUSTER_BYTES }));
    return this.blobs.map(({ id }) => {
      const blob = runSync(found.openBlob(id));
      return found.xattrNames(blob).includes(MARK) ? found.getXattr(blob, MARK)[0] : 0;
    });
  }
}

function failureOf(operation: () => unknown): unknown {
  try {
    operation();
  } catch (error) {
    return error;
  }
  return undefined;
}

describe('blobs that were dropped while they could not be written', () => {
  test('are written by a flush where it can; it throws for the others, and forgets those that it has written', () => {
    const yard = new LingeringYard();
    for (const index of [0, 1, 2]) yard.fail(index);
    yard.dropAll();
    expect(yard.store.openBlobIds()).toEqual(yard.blobs.slice(0, 3).map(({ id }) => id));
    yard.failing.clear();
    yard.fail(0);
    expect(failureOf(() => runSync(yard.store.flush()))).toMatchObject({ code: 'EIO' });
    expect(yard.store.openBlobIds()).toEqual([yard.blobs[0].id]);
    expect(failureOf(() => runSync(yard.store.flush()))).toMatchObject({ code: 'EIO' });
    yard.failing.clear();
    runSync(yard.store.flush());
    expect(yard.store.openBlobIds()).toEqual([]);
    expect(yard.kept()).toEqual([1, 2, 3, 4]);
  });

  test('do not keep a flush from writing the open blobs', () => {
    const yard = new LingeringYard();
    yard.fail(1);
    expect(failureOf(() => runSync(yard.store.flush()))).toMatchObject({ code: 'EIO' });
    expect(yard.kept()).toEqual([1, 0, 3, 4]);
  });

  test('are written by an unload where it can, and it throws for the others', () => {
    const yard = new LingeringYard();
    for (const index of [0, 1, 2, 3]) yard.fail(index);
    yard.dropAll();
    yard.failing.clear();
    yard.fail(1);
    expect(failureOf(() => runSync(yard.store.unload()))).toMatchObject({ code: 'EIO' });
    expect(yard.store.isClosed).toBe(true);
    expect(yard.kept()).toEqual([1, 0, 3, 4]);
  });

  test('can be opened, closed and deleted like others', async () => {
    const yard = new LingeringYard();
    for (const index of [0, 1]) yard.fail(index);
    yard.dropAll();
    const blob = runSync(yard.store.openBlob(yard.blobs[0].id));
    expect(failureOf(() => runSync(yard.store.closeBlob(blob)))).toMatchObject({ code: 'EIO' });
    yard.failing.clear();
    runSync(yard.store.closeBlob(blob));
    runSync(yard.store.deleteBlob(yard.blobs[1].id));
    expect(yard.store.openBlobIds()).toEqual([]);
    yard.store.verify();
    await run(yard.store.audit());
    runSync(yard.store.unload());
  });

  test('lose nothing by an iteration over all blobs, even if one cannot be written or the callback throws', () => {
    const yard = new LingeringYard();
    for (const index of [0, 1]) yard.fail(index);
    let seen = 0;
    runSync(yard.store.iterate(() => seen++));
    expect(seen).toBe(BLOBS);
    const stop = () => {
      throw new Error('enough');
    };
    expect(failureOf(() => runSync(yard.store.iterate(stop)))).toMatchObject({ message: 'enough' });
    yard.dropAll();
    yard.failing.clear();
    runSync(yard.store.unload());
    expect(yard.kept()).toEqual([1, 2, 3, 4]);
  });
});
