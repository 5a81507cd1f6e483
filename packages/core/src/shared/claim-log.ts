/**
 * The claims of the channels outside the metadata thread: clusters, and pages for extent pages, that are taken in the
 * pool and the mask but belong to no blob yet. When such a thread dies, only the log says what must be released.
 *
 * An entry is written under the used lock, before the bits are set, and cleared under it, after they are cleared. So
 * every bit that a dead thread has set has an entry. An entry whose bit is clear is void. It must be removed before
 * another thread gets the lock, because that thread may take the same bit next. An insertion clears the entry at the
 * moment at which the cluster becomes part of the blob. Both happen on the metadata thread, which also is the one that
 * reads a dead thread's entries.
 */

import { BlobstoreError } from '../units/error.js';
import type { DeviceCluster, MdPage } from '../units/units.js';
import { CHANNELS_MAX, CLAIMS_MAX } from './layout.js';

/**
 * An entry: the cluster, then the page or 0. In a free entry the cluster is 0, because cluster 0 always belongs to the
 * store itself.
 */
const ENTRY_WORDS = 2;

/** An entry that is not free. */
export interface Claim {
  readonly entry: number;
  readonly cluster: DeviceCluster;
  readonly extentPage: MdPage;
}

/** The claim log of one row of the channel table. */
export class ClaimLog {
  /** Bytes of the logs of all rows. */
  static readonly BYTES = CHANNELS_MAX * CLAIMS_MAX * ENTRY_WORDS * 4;
  readonly #words: Int32Array;
  /** Where to look for a free entry first. */
  #cursor = 0;

  /** @param row - the row of the channel table whose log this is */
  constructor(buffer: SharedArrayBuffer, row: number) {
    this.#words = new Int32Array(buffer, row * CLAIMS_MAX * ENTRY_WORDS * 4, CLAIMS_MAX * ENTRY_WORDS);
  }

  /**
   * Allocates the logs of all rows. The buffer is a growable one, because only these take physical memory page by page
   * as they are used.
   */
  static allocate(): SharedArrayBuffer {
    return new SharedArrayBuffer(ClaimLog.BYTES, { maxByteLength: ClaimLog.BYTES });
  }

  /**
   * Records a claim before it is made. Returns its entry. The row's own thread, with the used lock. Throws ENOMEM when
   * the log is full.
   */
  note(cluster: DeviceCluster, extentPage: MdPage): number {
    for (let tried = 0; tried < CLAIMS_MAX; tried++) {
      const entry = (this.#cursor + tried) % CLAIMS_MAX;
      if (Atomics.load(this.#words, entry * ENTRY_WORDS) !== 0) continue;
      this.#cursor = (entry + 1) % CLAIMS_MAX;
      Atomics.store(this.#words, entry * ENTRY_WORDS + 1, extentPage);
      Atomics.store(this.#words, entry * ENTRY_WORDS, cluster);
      return entry;
    }
    throw new BlobstoreError('ENOMEM', `the channel is allocating ${CLAIMS_MAX} clusters already: wait for some`);
  }

  /** Clears an entry. The row's own thread with the used lock, or the metadata thread. */
  forget(entry: number): void {
    Atomics.store(this.#words, entry * ENTRY_WORDS, 0);
  }

  /** Clears the page of an entry. Metadata thread, for a dead thread. */
  forgetPage(entry: number): void {
    Atomics.store(this.#words, entry * ENTRY_WORDS + 1, 0);
  }

  /** The entries that are not free. Metadata thread, for a dead thread; tests, for one that is stopped. */
  claims(): Claim[] {
    const claims: Claim[] = [];
    for (let entry = 0; entry < CLAIMS_MAX; entry++) {
      const cluster = Atomics.load(this.#words, entry * ENTRY_WORDS) >>> 0;
      const extentPage = Atomics.load(this.#words, entry * ENTRY_WORDS + 1) >>> 0;
      if (cluster !== 0) claims.push({ entry, cluster: cluster as DeviceCluster, extentPage: extentPage as MdPage });
    }
    return claims;
  }
}
