/**
 * The one table of all shared words: where each lies, which thread writes it, and what protects it. All are 32-bit
 * words in SharedArrayBuffers; the indices below count words.
 *
 * | region | word | written by | protected by |
 * |---|---|---|---|
 * | store | `USED_LOCK` | any thread | itself |
 * | store | `USED_LOCK_WAITERS` | any thread | atomic add |
 * | store | `POOL_*`, `PAGES_*` | any thread | used lock |
 * | store | `HIGH_WATER`, `FREEZES` | metadata thread | single writer; readers load atomically |
 * | store | `END` | metadata thread, or a thread that has found it dead | single writer; readers load atomically |
 * | pool, pages | the bits | any thread | used lock |
 * | blob block | `FROZEN`…`ID_PAGE` | metadata thread | single writer; readers load atomically |
 * | map arena | an entry | metadata thread | single writer; readers load atomically |
 * | blob block | `FROZEN` of a store that has ended | any thread that has found that out | atomic or |
 * | channel row | `INFLIGHT…` | the channel's thread | single writer; the metadata thread loads atomically |
 * | channel row | `OWNER` | any thread | compare and exchange; freed by its owner, or by the metadata thread once the owner is dead |
 * | channel row | `THREAD…`, `LEAVING` | the channel's thread | single writer; the metadata thread loads atomically |
 * | channel row | `SHARE` | set by the channel's thread; once the store has ended, cleared by any thread that has the lock of its file, or a share | compare and exchange; see `channel-table.ts` |
 * | claim log | an entry of a row | the channel's thread; cleared by the metadata thread too | used lock to set; see `claim-log.ts` |
 * | after the channel rows | rows seen | any thread | compare and exchange |
 * | after the channel rows | number of waiting freezers | metadata thread | single writer; readers load atomically |
 */

/** Words of the store region. */
export const STORE = {
  /** 0: free; otherwise the owner's thread id plus 1. */
  USED_LOCK: 0,
  /** The number of threads that sleep, or are about to sleep, until the used lock is free. */
  USED_LOCK_WAITERS: 1,
  /** The capacity of the pool, in clusters. */
  POOL_CAPACITY: 2,
  /** The number of clear bits in the pool. */
  POOL_FREE: 3,
  /** A search hint: no clear bit of the pool lies below this one. */
  POOL_LOWEST: 4,
  /** A search hint: no clear bit of the used-page mask lies below this one. */
  PAGES_LOWEST: 5,
  /** Clusters from this one on must not be given data before the mark is raised; see `state/high-water.ts`. */
  HIGH_WATER: 6,
  /** Whether and how the store has ended: one of `STORE_END`. */
  END: 7,
  /** Raised whenever a snapshot, or a blob with a snapshot behind it, is frozen. Wraps at 32 bits. */
  FREEZES: 8,
  WORDS: 16,
} as const;

/** Values of `STORE.END`. */
export const STORE_END = {
  OPEN: 0,
  CLOSED: 1,
  /** The metadata thread has died: only what is on disk can be relied on. */
  FAILED: 2,
} as const;

/** Words of a blob block. A block is one cache line. */
export const BLOB = {
  /** How many operations hold the blob frozen. */
  FROZEN: 0,
  /** Bits of `BLOB_FLAG`. */
  FLAGS: 1,
  /** Clusters in the blob. */
  CLUSTER_COUNT: 2,
  /** Where the directory of the blob's cluster map begins in the arena. */
  MAP_OFFSET: 3,
  /** What an unallocated cluster reads as: one of `BACK`. */
  BACK_KIND: 4,
  /** The slot of the snapshot behind the blob, if `BACK_KIND` is `BLOB`. */
  BACK_SLOT: 5,
  /** Raised when the block is allocated, and when its blob closes: handles with the old value are invalid. */
  GENERATION: 6,
  /** The blob's first metadata page. */
  ID_PAGE: 7,
  /** Where the directory of the numbers of the blob's extent pages begins in the arena. */
  EXTENTS_OFFSET: 8,
  /** The first metadata page of the snapshot that the blob is a clone of; `NONE_U32` if it is no clone. */
  PARENT_PAGE: 9,
  /** Raised when the device behind an external clone is set, replaced or removed. */
  EXTERNAL_EPOCH: 10,
  /**
   * Raised after parts of the cluster map may have been moved or freed, before the arena allocates their entries again.
   */
  MAP_EPOCH: 11,
  WORDS: 16,
} as const;

/** Bits of `BLOB.FLAGS`. */
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

/** What an unallocated cluster reads as. */
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
  /** Counters of operations inside blobs. The blob of slot S is counted in counter S modulo their number. */
  INFLIGHT: 0,
  INFLIGHT_COUNTERS: 64,
  /** 0: the row is free; otherwise the owning thread's id plus 1. */
  OWNER: 64,
  /** The identity of the owning thread to the operating system: its id, and its start time; see `channel-table.ts`. */
  THREAD_ID: 65,
  THREAD_SINCE: 66,
  /** 1: the owning thread ends without having closed the channel. */
  LEAVING: 67,
  /**
   * 0: none; otherwise the file descriptor that holds the owning thread's share of the lock on the store's file, plus
   * 1.
   */
  SHARE: 68,
  WORDS: 80,
} as const;

/**
 * Set in the frozen count of every blob of a store that has ended, so that all operations take the slow path, which
 * finds out that the store has ended.
 */
export const FROZEN_FOR_GOOD = 1 << 24;

/** The most channels of a store at one time. */
export const CHANNELS_MAX = 256;
/** The most clusters that a channel outside the metadata thread can have claimed, and not yet inserted, at one time. */
export const CLAIMS_MAX = 1024;
/** The most blobs that can be open at one time. */
export const OPEN_BLOBS_MAX = 1 << 20;
/**
 * The most address space that is reserved for cluster maps, in bytes. Physical memory is taken only as maps need it.
 */
export const MAP_ARENA_BYTES_MAX = 2 ** 31;
/** The least address space that is reserved for cluster maps, in bytes. */
export const MAP_ARENA_BYTES_MIN = 2 ** 26;
/**
 * The arena's size follows the store: 256 KiB for each metadata page or 256 bytes for each cluster, whichever is more,
 * within the two bounds above. So no metadata on a disk, not even hostile metadata, can take more memory than that.
 */
export const MAP_ARENA_BYTES_PER_MD_PAGE = 64 * 4096;
export const MAP_ARENA_BYTES_PER_CLUSTER = 64 * 4;
