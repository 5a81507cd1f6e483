/**
 * Everything of a store that threads share, in one object: made by the thread that opens the store, taken up by any other
 * thread from the plain, cloneable `SharedStoreBuffers`.
 */

import { PAGE_BYTES } from '../units/units.js';
import { wordsForBits } from './bit-array.js';
import { BitPool } from './bit-pool.js';
import { BlobBlocks } from './blob-blocks.js';
import { ChannelTable } from './channel-table.js';
import { STORE } from './layout.js';
import { MapArena } from './map-arena.js';
import { UsedLock } from './used-lock.js';
import { UsedPages } from './used-pages.js';

/** The buffers behind a `SharedStore`; goes through postMessage. */
export interface SharedStoreBuffers {
  store: SharedArrayBuffer;
  pool: SharedArrayBuffer;
  pages: SharedArrayBuffer;
  blobs: SharedArrayBuffer;
  maps: SharedArrayBuffer;
  channels: SharedArrayBuffer;
  mdPageCount: number;
}

export interface SharedStoreSizes {
  /** Clusters on the device now. */
  clusterCount: number;
  /** Clusters that the store can ever have: bits that fit its cluster mask's region. */
  clusterCountMax: number;
  /** Pages of the metadata region. */
  mdPageCount: number;
}

export class SharedStore {
  readonly buffers: SharedStoreBuffers;
  readonly usedLock: UsedLock;
  readonly clusters: BitPool;
  readonly pages: UsedPages;
  readonly blobs: BlobBlocks;
  readonly maps: MapArena;
  readonly channels: ChannelTable;
  readonly threadId: number;
  readonly #words: Int32Array;

  constructor(buffers: SharedStoreBuffers, threadId: number) {
    const words = new Int32Array(buffers.store);
    this.#words = words;
    this.buffers = buffers;
    this.threadId = threadId;
    this.usedLock = new UsedLock(words, threadId);
    this.clusters = new BitPool(words, buffers.pool, this.usedLock);
    this.pages = new UsedPages(words, buffers.pages, buffers.mdPageCount, this.usedLock);
    this.blobs = new BlobBlocks(buffers.blobs);
    this.maps = new MapArena(buffers.maps);
    this.channels = new ChannelTable(buffers.channels);
  }

  /** New shared structures, everything free. */
  static create(sizes: SharedStoreSizes, threadId: number): SharedStore {
    const store = new SharedArrayBuffer(STORE.WORDS * 4);
    const words = new Int32Array(store);
    words[STORE.POOL_CAPACITY] = sizes.clusterCount;
    words[STORE.POOL_FREE] = sizes.clusterCount;
    const poolBytesMax = Math.max(wordsForBits(sizes.clusterCountMax), wordsForBits(sizes.clusterCount)) * 4;
    const buffers: SharedStoreBuffers = {
      store,
      pool: new SharedArrayBuffer(wordsForBits(sizes.clusterCount) * 4, {
        maxByteLength: divideUpToPage(poolBytesMax),
      }),
      pages: new SharedArrayBuffer(wordsForBits(sizes.mdPageCount) * 4),
      blobs: new BlobBlocks().buffer,
      maps: new MapArena().buffer,
      channels: new ChannelTable().buffer,
      mdPageCount: sizes.mdPageCount,
    };
    return new SharedStore(buffers, threadId);
  }

  /** Clusters from this one on may be given data only once the metadata thread has raised it. Any thread reads. */
  get highWater(): number {
    return Atomics.load(this.#words, STORE.HIGH_WATER) >>> 0;
  }
  set highWater(mark: number) {
    Atomics.store(this.#words, STORE.HIGH_WATER, mark);
  }

  /** Runs `section` under the used lock. It must not do I/O; if it throws, the lock is given back all the same. */
  locked<T>(section: () => T): T {
    this.usedLock.acquire();
    try {
      return section();
    } finally {
      this.usedLock.release();
    }
  }
}

function divideUpToPage(bytes: number): number {
  return Math.ceil(bytes / PAGE_BYTES) * PAGE_BYTES;
}
