/**
 * Everything of a store that threads share, in one object: made by the thread that opens the store, taken up by any other
 * thread from the plain, cloneable `SharedStoreBuffers`.
 */

import { BlobstoreError } from '../units/error.js';
import { PAGE_BYTES } from '../units/units.js';
import { wordsForBits } from './bit-array.js';
import { BitPool } from './bit-pool.js';
import { BlobBlocks } from './blob-blocks.js';
import { ChannelTable } from './channel-table.js';
import { ClaimLog } from './claim-log.js';
import { BLOB, FROZEN_FOR_GOOD, STORE, STORE_END } from './layout.js';
import { MapArena } from './map-arena.js';
import type { StoreLife } from './store-life.js';
import { threadOfRow, UsedLock } from './used-lock.js';
import { UsedPages } from './used-pages.js';

/** The buffers behind a `SharedStore`; goes through postMessage. */
export interface SharedStoreBuffers {
  store: SharedArrayBuffer;
  pool: SharedArrayBuffer;
  pages: SharedArrayBuffer;
  blobs: SharedArrayBuffer;
  maps: SharedArrayBuffer;
  channels: SharedArrayBuffer;
  claims: SharedArrayBuffer;
  mdPageCount: number;
}

type StoreEnd = (typeof STORE_END)[keyof typeof STORE_END];

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
  /** What this thread has claimed; the metadata thread has no such log. */
  readonly claims: ClaimLog | undefined;
  /** Of a thread with a channel; the metadata thread need not look whether it lives. */
  life: StoreLife | undefined;
  readonly #words: Int32Array;

  /** @param threadId - this thread's number, from 0; unique among the threads that use the store */
  constructor(buffers: SharedStoreBuffers, threadId: number, claims?: ClaimLog) {
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
    this.claims = claims;
  }

  /** The structures as seen by the thread that has taken a row of the channel table. */
  static ofRow(buffers: SharedStoreBuffers, row: number): SharedStore {
    const shared = new SharedStore(buffers, threadOfRow(row), new ClaimLog(buffers.claims, row));
    shared.usedLock.onLongWait = () => shared.requireAlive(); // the metadata thread may have died with the lock
    return shared;
  }

  /** Bytes that each of the buffers has at least, for who is handed buffers by somebody else. */
  static leastBytes(mdPageCount: number): Record<Exclude<keyof SharedStoreBuffers, 'mdPageCount'>, number> {
    return {
      store: STORE.WORDS * 4,
      pool: 4,
      pages: wordsForBits(mdPageCount) * 4,
      blobs: BLOB.WORDS * 4,
      maps: 4,
      channels: ChannelTable.BYTES,
      claims: ClaimLog.BYTES,
    };
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
      maps: MapArena.forStore(sizes.clusterCountMax, sizes.mdPageCount).buffer,
      channels: new ChannelTable().buffer,
      claims: ClaimLog.allocate(),
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

  /** How the store has ended; `STORE_END.OPEN` while it has not. Any thread. */
  get end(): StoreEnd {
    return Atomics.load(this.#words, STORE.END) as StoreEnd;
  }

  get isFailed(): boolean {
    return this.end === STORE_END.FAILED;
  }

  /** EIO when the store's metadata thread has died, EBADF when the store is closed. Any thread. */
  requireAlive(): void {
    this.life?.look();
    if (this.end === STORE_END.OPEN) return;
    this.life?.ended();
    throw this.isFailed ? storeFailed() : new BlobstoreError('EBADF', 'the store is closed: open it again first');
  }

  /**
   * Keeps all threads out of all blobs for good, once the store has ended: those that are inside leave, none goes in, whoever else
   * says so, or is about to. Any thread; twice is once.
   */
  shutOut(): void {
    this.blobs.freezeAll(FROZEN_FOR_GOOD);
    this.blobs.wakeAll();
  }

  /** Says that the store is closed: whoever waits for its metadata thread need not. Metadata thread. */
  markClosed(): void {
    Atomics.compareExchange(this.#words, STORE.END, STORE_END.OPEN, STORE_END.CLOSED);
    this.blobs.wakeAll();
  }

  /**
   * Says that the metadata thread has died. From now on every operation finds its blob frozen, and then that this is for good.
   * Whoever saw it die; twice is once.
   */
  markFailed(): void {
    Atomics.store(this.#words, STORE.END, STORE_END.FAILED);
    this.shutOut();
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

/** What operations fail with once the metadata thread has died. */
function storeFailed(): BlobstoreError {
  const advice = 'close it and open it again, which recovers what was synced';
  return new BlobstoreError('EIO', `the store has failed, because the thread of its metadata died: ${advice}`);
}

function divideUpToPage(bytes: number): number {
  return Math.ceil(bytes / PAGE_BYTES) * PAGE_BYTES;
}
