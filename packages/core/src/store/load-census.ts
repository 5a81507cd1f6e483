/**
 * A check, while a cleanly unloaded store is opened, that its masks say of pages, clusters and blobs what the blobs say.
 * Nothing but the blobs themselves is read for it.
 */

import { Blob } from '../blob/blob.js';
import { mayHaveClones } from '../blob/snapshot-mark.js';
import { readMetadata } from '../metadata/load-blob.js';
import type { Masks } from '../state/masks.js';
import type { StoreState } from '../state/store-state.js';
import type { Steps } from '../steps/steps.js';
import { Owners } from '../survey/owners.js';
import type { BlobId } from '../units/units.js';

export class Census {
  readonly #store: StoreState;
  readonly #masks: Masks;
  readonly #owners: Owners;
  /** Something was found that a clean unload does not leave: only a survey tells what it is. */
  isInDoubt = false;

  constructor(store: StoreState, masks: Masks) {
    this.#store = store;
    this.#masks = masks;
    this.#owners = new Owners(masks.pages.capacity, masks.clusters.capacity);
  }

  /** Counts what an open blob has. */
  add(blob: Blob): void {
    this.#owners.add(blob);
    if (blob.back?.kind === 'blob' && !mayHaveClones(blob.back.blob)) this.isInDoubt = true;
  }

  /** Counts what a blob has that cannot be opened, but read. */
  *addUnavailable(id: BlobId): Steps<void> {
    const blob = new Blob(this.#store.shared, id);
    try {
      yield* readMetadata(this.#store, blob);
      this.add(blob);
    } catch {
      this.isInDoubt = true; // of a newer version
    } finally {
      blob.free();
    }
  }

  /** To be asked once all blobs are counted. */
  get agrees(): boolean {
    const { pages, clusters } = this.#masks;
    const { pages: ownedPages, clusters: ownedClusters, hasShared } = this.#owners;
    if (this.isInDoubt || hasShared) return false;
    for (let cluster = 0; cluster < this.#store.geometry.metadataClusterCount(); cluster++) ownedClusters.set(cluster);
    return isSame(pages, ownedPages) && isSame(clusters, ownedClusters);
  }
}

function isSame(a: Masks['pages'], b: Masks['pages']): boolean {
  return a.includes(b) && b.includes(a);
}
