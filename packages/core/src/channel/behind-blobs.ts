/**
 * What the unallocated clusters of a blob read as: a cluster of a snapshot behind it, zeroes, or an external snapshot.
 * The snapshots behind a blob form a line of any length. Walking it takes time, so results are kept, in a table of
 * fixed size.
 *
 * A result stays right until a blob of the line is frozen (`metadata/freeze.ts`). Inflating a snapshot inserts clusters
 * into it without freezing it, but such a cluster has the content that the snapshot read as there before.
 */

import { BACK, BLOB } from '../shared/layout.js';
import type { SharedStore } from '../shared/shared-store.js';
import type { BlobGate } from './blob-gate.js';
import { lookUpCluster } from './operation.js';

/** Results of `find` other than a cluster of the device. */
export const READS_ZEROES = 0;
export const READS_EXTERNAL = -1;
/** Result of `known`: nothing is kept for this cluster. */
export const NOT_KNOWN = -1;

/** Entries of the table, a power of two. Each is five words: 160 KiB in all, made when the first one is needed. */
const ENTRIES = 8192;
const ENTRY_WORDS = 5;
const [SLOT, GENERATION, CLUSTER, FREEZES, FOUND] = [0, 1, 2, 3, 4];
/** A multiplier that spreads slots over the table: 2^32 divided by the golden ratio (Knuth, TAOCP 3, 6.4). */
const SPREAD = 0x9e37_79b1;

/** The blobs behind blobs, as one channel sees them. Only the channel's thread uses it. */
export class BehindBlobs {
  readonly #shared: SharedStore;
  readonly #gate: BlobGate;
  #table: Uint32Array | undefined;
  /** After `find` has returned `READS_EXTERNAL`: the slot of the external clone. */
  externalSlot = 0;

  constructor(shared: SharedStore, gate: BlobGate) {
    this.#shared = shared;
    this.#gate = gate;
  }

  /**
   * Finds what an unallocated cluster of a blob reads as: a cluster of the device, `READS_ZEROES`, or `READS_EXTERNAL`.
   * The caller is inside the blob, and what is found stays as it is until it leaves. Throws `FrozenBehind` when a
   * snapshot on the way is frozen.
   */
  find(slot: number, cluster: number): number {
    const { blobs } = this.#shared;
    const { freezes } = this.#shared; // before the walk: what a freezer changes after it must not be kept
    if (blobs.load(slot, BLOB.BACK_KIND) !== BACK.BLOB) return this.#atEnd(slot);
    const generation = blobs.load(slot, BLOB.GENERATION);
    const known = this.#known(slot, generation, cluster, freezes);
    if (known !== NOT_KNOWN) return known;
    const found = this.#walk(slot, cluster);
    // While the blob is frozen, the freezer waits for this operation, and changes what is behind the blob afterwards.
    const isKept = found !== READS_EXTERNAL && !this.#gate.isFrozen(slot);
    if (isKept) this.#keep(slot, generation, cluster, freezes, found);
    return found;
  }

  /**
   * What was found for a cluster before, if that is still right; otherwise `NOT_KNOWN`. The caller is inside the blob,
   * which is not frozen, and of this generation.
   */
  known(slot: number, generation: number, cluster: number): number {
    return this.#table === undefined ? NOT_KNOWN : this.#known(slot, generation, cluster, this.#shared.freezes);
  }

  /** Walks along the snapshots in a loop: a recursion could overflow the stack. */
  #walk(slot: number, cluster: number): number {
    const { blobs } = this.#shared;
    let at = slot;
    while (blobs.load(at, BLOB.BACK_KIND) === BACK.BLOB) {
      at = blobs.load(at, BLOB.BACK_SLOT);
      this.#gate.requireThawed(at);
      if (cluster >= blobs.load(at, BLOB.CLUSTER_COUNT) >>> 0) return READS_ZEROES; // a clone can be longer than its snapshot
      const entry = lookUpCluster(this.#shared, at, cluster);
      if (entry !== 0) return entry;
    }
    return this.#atEnd(at);
  }

  /** What a cluster reads as if no blob of the line has allocated it. `slot` is the last blob of the line. */
  #atEnd(slot: number): number {
    if (this.#shared.blobs.load(slot, BLOB.BACK_KIND) === BACK.ZEROES) return READS_ZEROES;
    this.externalSlot = slot;
    return READS_EXTERNAL;
  }

  #known(slot: number, generation: number, cluster: number, freezes: number): number {
    if (this.#table === undefined) return NOT_KNOWN;
    const table = this.#table;
    const at = entryOf(slot, cluster);
    const isKnown =
      table[at + CLUSTER] === cluster &&
      table[at + SLOT] === slot &&
      table[at + GENERATION] === generation >>> 0 &&
      table[at + FREEZES] === freezes >>> 0;
    return isKnown ? table[at + FOUND] : NOT_KNOWN;
  }

  #keep(slot: number, generation: number, cluster: number, freezes: number, found: number): void {
    this.#table ??= new Uint32Array(ENTRIES * ENTRY_WORDS).fill(0xffff_ffff);
    const at = entryOf(slot, cluster);
    this.#table[at + SLOT] = slot;
    this.#table[at + GENERATION] = generation;
    this.#table[at + CLUSTER] = cluster;
    this.#table[at + FREEZES] = freezes;
    this.#table[at + FOUND] = found;
  }
}

function entryOf(slot: number, cluster: number): number {
  return ((cluster + Math.imul(slot, SPREAD)) & (ENTRIES - 1)) * ENTRY_WORDS;
}
