/**
 * What a thread without metadata sees of an open blob, in shared memory. Once the blob is closed its block is another's; the
 * view then goes on answering what it saw last.
 *
 *     metadata thread   … flags := 0 → cluster count := 0 → generation + 1 …      (closing; see `BlobBlocks.free`)
 *     reader            load a word → is the block still open, and of this generation? then the word was the blob's
 */

import { BLOB, BLOB_FLAG, blobIdOfPage, type MdPage, NONE_U32, type SharedStore } from '@blobyard/core';

export class BlobView {
  /** Slot and generation by which channels know the blob. */
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

  /** The snapshot that the blob is a clone of; undefined when it is none. */
  get parentId(): bigint | undefined {
    const page = this.#shared.blobs.load(this.slot, BLOB.PARENT_PAGE) >>> 0;
    if (this.#isCurrent) this.#parentPage = page;
    return this.#parentPage === NONE_U32 ? undefined : blobIdOfPage(this.#parentPage as MdPage);
  }

  /** Looks at everything, so that it can be answered when the blob is closed. */
  remember(): void {
    void this.clusterCount;
    void this.isReadOnly;
    void this.parentId;
  }

  /** True when a cluster of the blob is its own. */
  isAllocated(cluster: number): boolean {
    return this.find(cluster, true) === cluster;
  }

  /** The first cluster from `start` on that is the blob's own (`isData`), or is not; undefined when there is none. */
  find(start: number, isData: boolean): number | undefined {
    for (;;) {
      const [map, count] = [this.#mapOffset, this.clusterCount];
      const found = this.#scan(map, start, count, isData);
      // The map moves when the blob grows, or a snapshot takes it over: then this was read in somebody else's.
      if (!this.#isCurrent || (this.#mapOffset === map && this.clusterCount === count)) return found;
    }
  }

  get #isCurrent(): boolean {
    const { blobs } = this.#shared;
    const isOpen = (blobs.load(this.slot, BLOB.FLAGS) & BLOB_FLAG.OPEN) !== 0;
    return isOpen && blobs.load(this.slot, BLOB.GENERATION) === this.generation;
  }

  get #mapOffset(): number {
    return this.#shared.blobs.load(this.slot, BLOB.MAP_OFFSET) >>> 0;
  }

  #scan(map: number, start: number, end: number, isData: boolean): number | undefined {
    const { maps } = this.#shared;
    for (let cluster = start; cluster < end; cluster++) {
      if ((maps.load(map + cluster) !== 0) === isData) return cluster;
    }
    return undefined;
  }
}
