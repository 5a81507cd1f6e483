/**
 * A check while a cleanly unloaded store is opened: do its masks agree with its blobs about pages, clusters and blob
 * ids? It reads only the blobs, which the visit of every blob reads anyway.
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
  /** True when something was found that a clean unload does not leave; a survey has to find out what it is. */
  isInDoubt = false;

  constructor(store: StoreState, masks: Masks) {
    this.#store = store;
    this.#masks = masks;
    this.#owners = new Owners(masks.pages.capacity, masks.clusters.capacity);
  }

  /** Counts the pages and clusters of an open blob. */
  add(blob: Blob): void {
    this.#owners.add(blob);
    if (blob.back?.kind === 'blob' && !mayHaveClones(blob.back.blob)) this.isInDoubt = true;
  }

  /** Counts the pages and clusters of a blob that can be read, but not opened. */
  *addUnavailable(id: BlobId): Steps<void> {
    const blob = new Blob(this.#store.shared, id);
    try {
      yield* readMetadata(this.#store, blob);
      this.add(blob);
    } catch {
      this.isInDoubt = true; // a blob of a newer version
    } finally {
      blob.free();
    }
  }

  /** True when the masks agree with the blobs. Only valid when all blobs are counted. */
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
