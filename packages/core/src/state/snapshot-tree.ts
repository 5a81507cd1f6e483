/**
 * Which blobs are clones of which snapshot, in the order in which they became clones. A snapshot stays listed after its
 * last clone is gone, until the store is loaded again.
 */

import { type BlobId, INVALID_BLOB_ID } from '../units/units.js';

interface Clones {
  readonly ids: Set<BlobId>;
  /** The same ids as a list that is never changed; undefined until somebody asks for it. */
  list: readonly BlobId[] | undefined;
}

/** The snapshots and clones of a store. Metadata thread. */
export class SnapshotTree {
  readonly #clones = new Map<BlobId, Clones>();
  readonly #parents = new Map<BlobId, BlobId>();
  #changes = 0;

  /** Grows with each change. */
  get changes(): number {
    return this.#changes;
  }

  /** Adds a clone, and its snapshot. Adding one again has no effect. */
  add(snapshot: BlobId, clone: BlobId): void {
    this.#changes++;
    let clones = this.#clones.get(snapshot);
    if (clones === undefined) {
      clones = { ids: new Set(), list: undefined };
      this.#clones.set(snapshot, clones);
    }
    clones.ids.add(clone);
    clones.list = undefined;
    this.#parents.set(clone, snapshot);
  }

  /** Removes a clone from the list of its snapshot. */
  remove(snapshot: BlobId, clone: BlobId): void {
    this.#changes++;
    const clones = this.#clones.get(snapshot);
    if (clones?.ids.delete(clone)) clones.list = undefined;
    if (this.#parents.get(clone) === snapshot) this.#parents.delete(clone);
  }

  /** Removes a snapshot. */
  removeSnapshot(snapshot: BlobId): void {
    this.#changes++;
    for (const clone of this.clonesOf(snapshot)) this.remove(snapshot, clone);
    this.#clones.delete(snapshot);
  }

  /** True when a blob is listed as a snapshot. */
  has(snapshot: BlobId): boolean {
    return this.#clones.has(snapshot);
  }

  clonesOf(snapshot: BlobId): readonly BlobId[] {
    return this.clonesIfListed(snapshot) ?? [];
  }

  /** The clones of a blob that is listed as a snapshot, in a list that is never changed; undefined for another one. */
  clonesIfListed(snapshot: BlobId): readonly BlobId[] | undefined {
    const clones = this.#clones.get(snapshot);
    if (clones === undefined) return undefined;
    clones.list ??= Object.freeze([...clones.ids]);
    return clones.list;
  }

  /** The snapshot that a blob is a clone of; `INVALID_BLOB_ID` if there is none. */
  parentOf(clone: BlobId): BlobId {
    return this.#parents.get(clone) ?? INVALID_BLOB_ID;
  }
}
