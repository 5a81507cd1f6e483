/**
 * A read-only view of the block of words that an open blob has in shared memory. Any thread. After the blob is closed,
 * the block may belong to another blob; then the view returns the values that it read last.
 *
 *     metadata thread   … flags := 0 → cluster count := 0 → generation + 1 …      (closing; see `BlobBlocks.free`)
 *     reader            load a word → is the block still open, and of this generation? then the word was the blob's
 */

import { BLOB, BLOB_FLAG, blobIdOfPage, type MdPage, NONE_U32, type SharedStore } from '@blobyard/core';

export class BlobView {
  /** The slot and generation by which channels identify the blob. */
  readonly slot: number;
  readonly generation: number;
  readonly #shared: SharedStore;
  #clusterCount = 0;
  #isReadOnly = false;
  #parentPage = NONE_U32;

  constructor(shared: SharedStore, slot: number, generation: number) {
    this.#shared = shared;
    this.slot = slot;
    this.generation = generation;
    this.remember();
  }

  get clusterCount(): number {
    const count = this.#shared.blobs.load(this.slot, BLOB.CLUSTER_COUNT) >>> 0;
    if (this.#isCurrent) this.#clusterCount = count;
    return this.#clusterCount;
  }

  get isReadOnly(): boolean {
    const flags = this.#shared.blobs.load(this.slot, BLOB.FLAGS);
    if (this.#isCurrent) this.#isReadOnly = (flags & BLOB_FLAG.DATA_RO) !== 0;
    return this.#isReadOnly;
  }

  /** The id of the snapshot that the blob is a clone of. Undefined if it is not a clone. */
  get parentId(): bigint | undefined {
    const page = this.#shared.blobs.load(this.slot, BLOB.PARENT_PAGE) >>> 0;
    if (this.#isCurrent) this.#parentPage = page;
    return this.#parentPage === NONE_U32 ? undefined : blobIdOfPage(this.#parentPage as MdPage);
  }

  /** Reads all values, so that they can still be returned after the blob is closed. */
  remember(): void {
    void this.clusterCount;
    void this.isReadOnly;
    void this.parentId;
  }

  /** Returns true if the blob itself has allocated the cluster. */
  isAllocated(cluster: number): boolean {
    return this.#find(cluster, cluster + 1, true) === cluster;
  }

  /**
   * Returns the first cluster from `start` on that the blob itself has allocated (`isData`), or has not allocated.
   * Undefined if there is none.
   */
  find(start: number, isData: boolean): number | undefined {
    return this.#find(start, this.clusterCount, isData);
  }

  #find(start: number, end: number, isData: boolean): number | undefined {
    const { blobs, maps } = this.#shared;
    for (;;) {
      const epoch = blobs.load(this.slot, BLOB.MAP_EPOCH);
      const map = blobs.load(this.slot, BLOB.MAP_OFFSET) >>> 0;
      const found = maps.findIn(map, start, Math.min(end, this.clusterCount), isData);
      // Parts of the map move when the blob grows, or when a snapshot takes the map over. The epoch is raised before a
      // part can belong to another blob. So if the epoch is the same, only this blob's map was read.
      if (!this.#isCurrent || blobs.load(this.slot, BLOB.MAP_EPOCH) === epoch) return found;
    }
  }

  get #isCurrent(): boolean {
    const { blobs } = this.#shared;
    const isOpen = (blobs.load(this.slot, BLOB.FLAGS) & BLOB_FLAG.OPEN) !== 0;
    return isOpen && blobs.load(this.slot, BLOB.GENERATION) === this.generation;
  }
}
