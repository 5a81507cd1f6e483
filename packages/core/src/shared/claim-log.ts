/**
 * What the channels outside the metadata thread have claimed: clusters, and pages for extent pages, that are taken in the pool
 * and the mask but belong to no blob yet. When such a thread dies, the log says what is to be given back; nothing else knows.
 *
 * An entry is written under the used lock, before the bits are set, and cleared under it after they were cleared. So a bit that
 * a dead thread has set always has its entry. An entry whose bit is clear says nothing, and must go before another thread has
 * the lock: the bit may be that one's next. An insertion clears the entry at the moment at which the blob has the cluster; both
 * happen on the metadata thread, which is also who reads a dead thread's entries.
 */

import { BlobstoreError } from '../units/error.js';
import type { DeviceCluster, MdPage } from '../units/units.js';
import { CHANNELS_MAX, CLAIMS_MAX } from './layout.js';

/** An entry: the cluster, then the page or 0. A free entry has cluster 0, which is the store's own. */
const ENTRY_WORDS = 2;

export interface Claim {
  readonly entry: number;
  readonly cluster: DeviceCluster;
  readonly extentPage: MdPage;
}

export class ClaimLog {
  /** Of all rows. */
  static readonly BYTES = CHANNELS_MAX * CLAIMS_MAX * ENTRY_WORDS * 4;
  readonly #words: Int32Array;
  /** Where to look for a free entry first. */
  #cursor = 0;

  /** @param row - of the channel table; whose log this is */
  constructor(buffer: SharedArrayBuffer, row: number) {
    this.#words = new Int32Array(buffer, row * CLAIMS_MAX * ENTRY_WORDS * 4, CLAIMS_MAX * ENTRY_WORDS);
  }

  /** The logs of all rows. Only memory of the growable kind is always taken as it is used. */
  static allocate(): SharedArrayBuffer {
    return new SharedArrayBuffer(ClaimLog.BYTES, { maxByteLength: ClaimLog.BYTES });
  }

  /** Notes a claim that is about to be made; answers its entry. The row's own thread, with the used lock. */
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

  /** Clears the page of an entry. The metadata thread, of a thread that is dead. */
  forgetPage(entry: number): void {
    Atomics.store(this.#words, entry * ENTRY_WORDS + 1, 0);
  }

  /** The entries that are not free. Metadata thread, of a thread that is dead; for tests, of one that stands still. */
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
