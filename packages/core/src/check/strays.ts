/**
 * Strays in a closed store: roots on pages that its masks do not know; see `survey/strays.ts`. They belong to no blob,
 * as long as the masks are right about all other blobs, and mark nothing else of what these roots name.
 */

import { BitArray } from '../shared/bit-array.js';
import type { Geometry } from '../units/geometry.js';
import { type MdPage, pageOfBlobId } from '../units/units.js';
import type { FoundMasks } from './check-masks.js';
import type { SurveyedBlob } from './surveyed-blob.js';

/** Masks that could all be read. */
export type WholeMasks = { [Mask in keyof FoundMasks]: BitArray };

export function areWhole(masks: FoundMasks): masks is WholeMasks {
  return masks.pages !== undefined && masks.clusters !== undefined && masks.blobIds !== undefined;
}

interface Had {
  readonly pages: BitArray;
  readonly clusters: BitArray;
}

/** Compares blobs with the masks, before it is known what they share. */
export class MaskWitness {
  readonly #masks: WholeMasks;
  readonly #geometry: Geometry;
  /** What the blobs have that can be read. */
  readonly #owned: Had;
  /** The same, and what the other blobs name. */
  readonly #named: Had;
  readonly #needed = new Set<MdPage>();
  #areListed = true;

  constructor(masks: WholeMasks, geometry: Geometry) {
    this.#masks = masks;
    this.#geometry = geometry;
    const none = () => ({
      pages: BitArray.private(masks.pages.capacity),
      clusters: BitArray.private(masks.clusters.capacity),
    });
    this.#owned = none();
    this.#named = none();
  }

  /** Adds a blob that the masks know. */
  add(blob: SurveyedBlob): void {
    for (const id of [blob.parentId, blob.counterpartId]) if (id !== undefined) this.#needed.add(pageOfBlobId(id));
    if (!this.#masks.blobIds.get(blob.page)) this.#areListed = false;
    note(this.#named, blob);
    if (!blob.isDamaged && !blob.isNewer) note(this.#owned, blob);
  }

  /** True when these blobs, on pages that the masks do not know, are strays. */
  areStrays(blobs: readonly SurveyedBlob[]): boolean {
    return this.#areMasksRight() && blobs.every((blob) => !this.#needed.has(blob.page) && !this.#isMarked(blob));
  }

  #areMasksRight(): boolean {
    const { pages, clusters, blobIds } = this.#masks;
    if (!this.#areListed || clusters.findFirstClear(0) < this.#geometry.metadataClusterCount()) return false;
    return pages.includes(this.#owned.pages) && clusters.includes(this.#owned.clusters) && pages.includes(blobIds);
  }

  /** True when the masks mark something that this blob names, and that no other blob names. */
  #isMarked(blob: SurveyedBlob): boolean {
    const { pages, clusters } = this.#masks;
    let isMarked = pagesOf(blob).some((page) => pages.get(page) && !this.#named.pages.get(page));
    forEachCluster(blob, (cluster) => {
      isMarked ||= clusters.get(cluster) && !this.#named.clusters.get(cluster);
    });
    return isMarked;
  }
}

function note({ pages, clusters }: Had, blob: SurveyedBlob): void {
  for (const page of pagesOf(blob)) pages.set(page);
  forEachCluster(blob, (cluster) => clusters.set(cluster));
}

function pagesOf(blob: SurveyedBlob): MdPage[] {
  return [...blob.chain, ...blob.extentPages];
}

function forEachCluster(blob: SurveyedBlob, visit: (cluster: number) => void): void {
  for (const { first, end } of blob.runs) for (let cluster = first; cluster < end; cluster++) visit(cluster);
}
