/**
 * The one table of the words that a client and an I/O worker share. All are 32-bit words; indices count words. Numbers
 * of up to 53 bits are 64-bit floats, which hold them exactly: one store, one load.
 *
 * | memory | word | written by | read by | ordering |
 * |---|---|---|---|---|
 * | ring | `SUBMITTED` | client | worker | stored after the entries before it; atomic |
 * | ring | `WORKER_ASLEEP`, `WORKER_BELL` | both | both | bell.ts |
 * | ring | `COMPLETED` | worker | client | stored after the entries, and texts, before it; atomic |
 * | ring | `PACE` | worker | client | a hint; atomic |
 * | ring | a submission entry | client | worker | plain; published by `SUBMITTED` |
 * | ring | a completion entry | worker | client | plain; published by `COMPLETED` |
 * | ring | the error text of a tag | worker | client | plain; published by `COMPLETED` |
 * | client block | `CLIENT_ASLEEP`, `CLIENT_BELL` | both | both | bell.ts; one for all the rings of a client |
 *
 * No ring has a shared head. A client has at most `entries` requests under way on a worker, each with its own tag from
 * 0 to `entries - 1`. So neither ring can overflow, and an entry is written again only after its request has been
 * answered, which means that it has been read. Each side keeps its own count of what it has taken. The counters wrap;
 * an entry's index is the counter modulo `entries`, a power of two.
 */

import { BlobstoreError } from '@blobyard/core';

/** The operations of a request: those of a channel. `…_BYTES` are ranges of bytes, the others ranges of io units. */
export const RING_OP = {
  READ: 0,
  READV: 1,
  READ_BYTES: 2,
  WRITE: 3,
  WRITEV: 4,
  WRITE_BYTES: 5,
  WRITE_ZEROES: 6,
  UNMAP: 7,
} as const;
export type RingOp = (typeof RING_OP)[keyof typeof RING_OP];

/** Words of a ring's header. Words of different writers are on different cache lines. */
export const RING = {
  SUBMITTED: 0,
  WORKER_ASLEEP: 16,
  WORKER_BELL: 17,
  COMPLETED: 32,
  /**
   * The worker's time for a unit of weight (`requestWeight`), in nanoseconds: a moving average over its batches. Of a
   * request in promise form only the time to begin it counts.
   */
  PACE: 48,
  WORDS: 64,
} as const;

/**
 * The work of a request in units: 1, and 1 for each 16 KiB, because copying 16 KiB takes about as long as a request
 * itself.
 */
export function requestWeight(byteLength: number): number {
  return 1 + Math.floor(byteLength / 16384);
}

/** Words of the client block. */
export const CLIENT = { ASLEEP: 0, BELL: 1, WORDS: 16 } as const;

/** Words of a submission entry, which is one cache line. */
export const SUBMISSION = {
  TAG: 0,
  OP: 1,
  SLOT: 2,
  GENERATION: 3,
  /** An id of `memory-id.ts`. */
  MEMORY: 4,
  /** For vectors: the number of segments in the table. The table is where the buffer of other requests is. */
  SEGMENTS: 5,
  WORDS: 16,
} as const;

/** The same entry in 64-bit floats: indices count eight bytes. */
export const SUBMISSION_F64 = {
  /** In io units; for a range of bytes, in bytes. */
  OFFSET: 3,
  /** As the offset. */
  COUNT: 4,
  /** The offset of the buffer in its memory, in bytes. */
  BYTE_OFFSET: 5,
  BYTE_LENGTH: 6,
  LENGTH: 8,
} as const;

/** Words of a completion entry. */
export const COMPLETION = {
  TAG: 0,
  /** 0: done. Otherwise an errno, or `STATUS_BUG`. */
  STATUS: 1,
  /** Bytes of UTF-8 in the tag's error text. */
  TEXT_BYTES: 2,
  WORDS: 4,
} as const;

/** The status of a broken invariant on the worker, which has no errno. */
export const STATUS_BUG = -1;

/** The most bytes of an error's text; longer ones are cut off. */
export const TEXT_BYTES_MAX = 1024;

/** Words of a segment in the table of a vector: memory id; length in bytes; offset in bytes, as a 64-bit float. */
export const SEGMENT = { MEMORY: 0, BYTE_LENGTH: 1, WORDS: 4 } as const;
export const SEGMENT_F64 = { BYTE_OFFSET: 1, LENGTH: 2 } as const;
export const SEGMENT_BYTES = SEGMENT.WORDS * 4;

export const DEFAULT_ENTRIES = 256;
export const ENTRIES_MAX = 4096;

/** The buffers of a ring, sent to a worker by `workerData` or a message. */
export interface RingBuffers {
  readonly ring: SharedArrayBuffer;
  /** The client block, the same in all rings of a client. */
  readonly client: SharedArrayBuffer;
  readonly entries: number;
}

/** Creates a ring of a client and one worker. EINVAL unless `entries` is a power of two up to `ENTRIES_MAX`. */
export function createRing(client: SharedArrayBuffer, entries: number): RingBuffers {
  if (!(Number.isInteger(Math.log2(entries)) && entries >= 1 && entries <= ENTRIES_MAX)) {
    throw new BlobstoreError(
      'EINVAL',
      `a ring of ${entries} entries: their number must be a power of two up to ${ENTRIES_MAX}`,
    );
  }
  return { ring: pageAligned(textsAt(entries) + entries * TEXT_BYTES_MAX), client, entries };
}

export function createClientBlock(): SharedArrayBuffer {
  return pageAligned(CLIENT.WORDS * 4);
}

/** The byte offset of the submission entries in a ring; the functions below give those of its other parts. */
export function submissionsAt(): number {
  return RING.WORDS * 4;
}

export function completionsAt(entries: number): number {
  return submissionsAt() + entries * SUBMISSION.WORDS * 4;
}

export function textsAt(entries: number): number {
  return completionsAt(entries) + entries * COMPLETION.WORDS * 4;
}

/**
 * Allocates shared memory that begins at a page, so that cache lines are where the layout assumes. Growable buffers
 * begin at a page, fixed ones need not.
 */
export function pageAligned(bytes: number): SharedArrayBuffer {
  return new SharedArrayBuffer(bytes, { maxByteLength: bytes });
}

export function words(memory: SharedArrayBuffer, byteOffset: number, count: number): Int32Array {
  return new Int32Array(memory, byteOffset, count);
}
