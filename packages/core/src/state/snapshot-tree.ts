/**
 * Which blobs are clones of which snapshot, in the order in which they became so. A snapshot stays listed when its last clone
 * is gone: it was one, until the store is loaded again.
 */

import { type BlobId, INVALID_BLOB_ID } from '../units/units.js';

export class SnapshotTree {
  readonly #clones = new Map<BlobId, Set<BlobId>>();
  readonly #parents = new Map<BlobId, BlobId>();

  /** Lists a clone, once; its snapshot too. */
  add(snapshot: BlobId, clone: BlobId): void {
    const clones = this.#clones.get(snapshot) ?? new Set();
    this.#clones.set(snapshot, clones);
    clones.add(clone);
    this.#parents.set(clone, snapshot);
  }

  /** Takes a clone off its snapshot's list. */
  remove(snapshot: BlobId, clone: BlobId): void {
    this.#clones.get(snapshot)?.delete(clone);
    if (this.#parents.get(clone) === snapshot) this.#parents.delete(clone);
  }

  /** Forgets a snapshot. */
  removeSnapshot(snapshot: BlobId): void {
    for (const clone of this.clonesOf(snapshot)) this.remove(snapshot, clone);
    this.#clones.delete(snapshot);
  }

  has(snapshot: BlobId): boolean {
    return this.#clones.has(snapshot);
  }

  clonesOf(snapshot: BlobId): readonly BlobId[] {
    return [...(this.#clones.get(snapshot) ?? [])];
  }

  /** The snapshot that a blob is listed under, or the invalid id. */
  parentOf(clone: BlobId): BlobId {
    return this.#parents.get(clone) ?? INVALID_BLOB_ID;
  }
}
