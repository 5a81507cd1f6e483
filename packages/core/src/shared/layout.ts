/**
 * The one table of every shared word: where it lies, who writes it, and what protects it. All are 32-bit words in
 * SharedArrayBuffers; indices below count words.
 *
 * | region | word | written by | protected by |
 * |---|---|---|---|
 * | store | `USED_LOCK` | any thread | itself |
 * | store | `USED_LOCK_WAITERS` | any thread | atomic add |
 * | store | `POOL_*`, `PAGES_*` | any thread | used lock |
 * | store | `HIGH_WATER` | metadata thread | single writer; readers load atomically |
 * | store | `END` | metadata thread, or who saw it die | single writer; readers load atomically |
 * | pool, pages | the bits | any thread | used lock |
 * | blob block | `FROZEN`…`ID_PAGE` | metadata thread | single writer; readers load atomically |
 * | map arena | an entry | metadata thread | single writer; readers load atomically |
 * | blob block | `FROZEN` of a store that has ended | any thread that has found that out | atomic or |
 * | channel row | `INFLIGHT…` | the channel's thread | single writer; the metadata thread loads atomically |
 * | channel row | `OWNER` | any thread | compare and exchange; freed by its owner, or once that is dead |
 * | channel row | `THREAD…`, `LEAVING` | the channel's thread | single writer; the metadata thread loads atomically |
 * | channel row | `SHARE` | the channel's thread sets it; once the store has ended, any that has the lock of its file, or a share, clears it | compare and exchange; see `channel-table.ts` |
 * | claim log | an entry of a row | the channel's thread; cleared by the metadata thread too | used lock to set; see `claim-log.ts` |
 * | after the channel rows | rows seen | any thread | compare and exchange |
 * | after the channel rows | freezers that wait | metadata thread | single writer; readers load atomically |
 */

/** Words of the store region. */
export const STORE = {
  /** 0: free; otherwise the owner's thread id plus 1. */
  USED_LOCK: 0,
  /** Threads that sleep, or are about to, until the used lock is free. */
  USED_LOCK_WAITERS: 1,
  /** Clusters that the pool covers. */
  POOL_CAPACITY: 2,
  /** Clear bits in the pool. */
  POOL_FREE: 3,
  /** No clear bit of the pool lies below this one. */
  POOL_LOWEST: 4,
  /** No clear bit of the used-page mask lies below this one. */
  PAGES_LOWEST: 5,
  /** No cluster from this one on may be given data before the mark is raised; see `state/high-water.ts`. */
  HIGH_WATER: 6,
  /** How the store has ended: one of `STORE_END`. */
  END: 7,
  WORDS: 16,
} as const;

export const STORE_END = {
  OPEN: 0,
  CLOSED: 1,
  /** The metadata thread died: nothing can be relied on but what is on disk. */
  FAILED: 2,
} as const;

/** Words of a blob block; a block is one cache line. */
export const BLOB = {
  /** How many operations hold the blob frozen now. */
  FROZEN: 0,
  /** Bits of `BLOB_FLAG`. */
  FLAGS: 1,
  /** Clusters in the blob. */
  CLUSTER_COUNT: 2,
  /** Where the blob's cluster map begins in the arena. */
  MAP_OFFSET: 3,
  /** What data is behind an unallocated cluster: one of `BACK`. */
  BACK_KIND: 4,
  /** The blob block of the snapshot behind, where `BACK_KIND` says so. */
  BACK_SLOT: 5,
  /** Raised when the block is given to another blob, or its blob closes: an old handle no longer fits. */
  GENERATION: 6,
  /** The blob's first metadata page. */
  ID_PAGE: 7,
  /** Where the numbers of the blob's extent pages begin in the arena. */
  EXTENTS_OFFSET: 8,
  /** The first metadata page of the snapshot that the blob is a clone of; `NONE_U32`: it is none. */
  PARENT_PAGE: 9,
  /** Raised when another device, or none, comes to be behind an external clone. */
  EXTERNAL_EPOCH: 10,
  WORDS: 16,
} as const;

export const BLOB_FLAG = {
  /** Data cannot be written. */
  DATA_RO: 1,
  /** Clusters may be unallocated. */
  THIN: 2,
  /** The block belongs to an open blob. */
  OPEN: 4,
  /** Clusters are mapped by extent pages, not by runs in the chain. */
  EXTENT_TABLE: 8,
} as const;

/** What answers reads of an unallocated cluster. */
export const BACK = {
  /** Nothing: the blob is thick, or its external snapshot is missing. */
  NONE: 0,
  ZEROES: 1,
  /** A snapshot in the same store. */
  BLOB: 2,
  /** A device outside the store. */
  EXTERNAL: 3,
} as const;

/** Words of a channel's row. */
export const CHANNEL = {
  /** Counters of operations inside a blob; blob block S uses counter S modulo their number. */
  INFLIGHT: 0,
  INFLIGHT_COUNTERS: 64,
  /** 0: the row is free; otherwise the owning thread's id plus 1. */
  OWNER: 64,
  /** By what the operating system knows the owning thread, and since when; see `channel-table.ts`. */
  THREAD_ID: 65,
  THREAD_SINCE: 66,
  /** 1: the owning thread ends without having closed the channel. */
  LEAVING: 67,
  /** 0: none; otherwise the descriptor by which the owning thread has its share of the lock on the store's file, plus 1. */
  SHARE: 68,
  WORDS: 80,
} as const;

/** Set in the frozen count of every blob of a store that has ended: all operations then take the way of those that wait. */
export const FROZEN_FOR_GOOD = 1 << 24;

/** Channels that a store can have at once. */
export const CHANNELS_MAX = 256;
/** Clusters that a channel outside the metadata thread can have claimed, and not inserted, at once. */
export const CLAIMS_MAX = 1024;
/** Blobs that can be open at once. */
export const OPEN_BLOBS_MAX = 1 << 20;
/** Address space reserved for cluster maps at most; memory is taken only as maps need it. */
export const MAP_ARENA_BYTES_MAX = 2 ** 31;
/** And at least. */
export const MAP_ARENA_BYTES_MIN = 2 ** 26;
/** Between the two: bytes for each metadata page of the store, and for each cluster, so that no metadata takes all memory. */
export const MAP_ARENA_BYTES_PER_MD_PAGE = 64 * 4096;
export const MAP_ARENA_BYTES_PER_CLUSTER = 64 * 4;
