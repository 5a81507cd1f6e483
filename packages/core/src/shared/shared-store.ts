/**
 * All structures of a store that threads share, in one object. The thread that opens the store creates them; other
 * threads attach to them by the plain, cloneable `SharedStoreBuffers`.
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

/** The buffers of a `SharedStore`. They can be posted to other threads. */
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

/** The sizes of a new store. */
export interface SharedStoreSizes {
  /** Clusters on the device. */
  clusterCount: number;
  /** The most clusters that the store can grow to: as many as its cluster mask has room for. */
  clusterCountMax: number;
  /** Pages of the metadata region. */
  mdPageCount: number;
}

/** The shared structures, as one thread sees them. Each thread makes its own object. */
export class SharedStore {
  readonly buffers: SharedStoreBuffers;
  readonly usedLock: UsedLock;
  readonly clusters: BitPool;
  readonly pages: UsedPages;
  readonly blobs: BlobBlocks;
  readonly maps: MapArena;
  readonly channels: ChannelTable;
  readonly threadId: number;
  /** The claim log of this thread; the metadata thread has none. */
  readonly claims: ClaimLog | undefined;
  /**
   * Checks whether the metadata thread lives, on other threads with a channel; undefined on the metadata thread itself.
   */
  life: StoreLife | undefined;
  /** Blobs are opened so that channels cannot write them. On the metadata thread; other threads see the blobs' flags. */
  refusesWrites = false;
  readonly #words: Int32Array;

  /** @param threadId - the number of this thread, from 0; unique among the threads that use the store */
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

  /** The structures of a thread that has taken a row of the channel table. */
  static ofRow(buffers: SharedStoreBuffers, row: number): SharedStore {
    const shared = new SharedStore(buffers, threadOfRow(row), new ClaimLog(buffers.claims, row));
    shared.usedLock.onLongWait = () => shared.requireAlive(); // the metadata thread may have died while it held the lock
    return shared;
  }

  /** The least size in bytes of each buffer, to check buffers that come from another thread. */
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

  /** Creates shared structures for a store with no clusters or pages used. */
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

  /**
   * A counter that changes whenever a snapshot, or a blob with a snapshot behind it, is frozen. What a thread inside a
   * blob has found out about the snapshots behind it stays true while the counter is the same. Any thread.
   */
  get freezes(): number {
    return Atomics.load(this.#words, STORE.FREEZES);
  }

  /** Counts a freeze. Metadata thread, before it reads the counters of operations inside blobs. */
  countFreeze(): void {
    Atomics.add(this.#words, STORE.FREEZES, 1);
  }

  /**
   * The high-water mark: clusters from this one on may be given data only once the metadata thread has raised it. Any
   * thread reads it.
   */
  get highWater(): number {
    return Atomics.load(this.#words, STORE.HIGH_WATER) >>> 0;
  }
  set highWater(mark: number) {
    Atomics.store(this.#words, STORE.HIGH_WATER, mark);
  }

  /** Whether and how the store has ended. Any thread. */
  get end(): StoreEnd {
    return Atomics.load(this.#words, STORE.END) as StoreEnd;
  }

  get isFailed(): boolean {
    return this.end === STORE_END.FAILED;
  }

  /** Throws EIO when the metadata thread has died, EBADF when the store is closed. Any thread. */
  requireAlive(): void {
    this.life?.look();
    if (this.end === STORE_END.OPEN) return;
    this.life?.ended();
    throw this.isFailed ? storeFailed() : new BlobstoreError('EBADF', 'the store is closed: open it again first');
  }

  /**
   * Keeps all threads out of all blobs permanently, once the store has ended. Operations inside blobs still leave; none
   * can enter. Any thread; several may call it, also at the same time.
   */
  shutOut(): void {
    this.blobs.freezeAll(FROZEN_FOR_GOOD);
    this.blobs.wakeAll();
  }

  /** Marks the store as closed, and wakes the threads that wait for its metadata thread. Metadata thread. */
  markClosed(): void {
    Atomics.compareExchange(this.#words, STORE.END, STORE_END.OPEN, STORE_END.CLOSED);
    this.blobs.wakeAll();
  }

  /**
   * Marks the store as failed: its metadata thread has died. From now on every operation finds its blob frozen, and
   * then that the store has failed. Any thread that has found it dead; several may call it.
   */
  markFailed(): void {
    Atomics.compareExchange(this.#words, STORE.END, STORE_END.OPEN, STORE_END.FAILED); // it may have been closed meanwhile
    this.shutOut();
  }

  /**
   * Runs `section` with the used lock held. It must not do I/O. If it throws, the lock is released and the error passed
   * on.
   */
  locked<T>(section: () => T): T {
    this.usedLock.acquire();
    try {
      return section();
    } finally {
      this.usedLock.release();
    }
  }
}

/** The error of operations after the metadata thread has died. */
function storeFailed(): BlobstoreError {
  const advice = 'close it and open it again, which recovers what was synced';
  return new BlobstoreError('EIO', `the store has failed, because its metadata thread died: ${advice}`);
}

function divideUpToPage(bytes: number): number {
  return Math.ceil(bytes / PAGE_BYTES) * PAGE_BYTES;
}
