/**
 * Which blobs are clones of which snapshot, in the order in which they became so. A snapshot stays listed when its last clone
 * is gone: it was one, until the store is loaded again.
 */

import { type BlobId, INVALID_BLOB_ID } from '../units/units.js';

export class SnapshotTree {
  readonly #clones = new Map<BlobId, BlobId[]>();

  /** Lists a clone, once; its snapshot too. */
  add(snapshot: BlobId, clone: BlobId): void {
    const clones = this.#clones.get(snapshot);
    if (clones === undefined) this.#clones.set(snapshot, [clone]);
    else if (!clones.includes(clone)) clones.push(clone);
  }

  /** Takes a clone off its snapshot's list. */
  remove(snapshot: BlobId, clone: BlobId): void {
    const clones = this.#clones.get(snapshot);
    const at = clones?.indexOf(clone) ?? -1;
    if (at >= 0) clones?.splice(at, 1);
  }

  /** Forgets a snapshot. */
  removeSnapshot(snapshot: BlobId): void {
    this.#clones.delete(snapshot);
  }

  has(snapshot: BlobId): boolean {
    return this.#clones.has(snapshot);
  }

  clonesOf(snapshot: BlobId): readonly BlobId[] {
    return this.#clones.get(snapshot) ?? [];
  }

  /** The snapshot that a blob is listed under, or the invalid id. */
  parentOf(clone: BlobId): BlobId {
    for (const [snapshot, clones] of this.#clones) if (clones.includes(clone)) return snapshot;
    return INVALID_BLOB_ID;
  }
}
