/**
 * Roots in a closed store on pages that its masks do not know, as `survey/strays.ts` has it: nobody's, as long as the masks are right about
 * all other blobs and mark nothing else of what these roots name.
 */

import { BitArray } from '../shared/bit-array.js';
import type { Geometry } from '../units/geometry.js';
import { type MdPage, pageOfBlobId } from '../units/units.js';
import type { FoundMasks } from './check-masks.js';
import type { SurveyedBlob } from './surveyed-blob.js';

/** Masks all of which could be read. */
export type WholeMasks = { [Mask in keyof FoundMasks]: BitArray };

export function areWhole(masks: FoundMasks): masks is WholeMasks {
  return masks.pages !== undefined && masks.clusters !== undefined && masks.blobIds !== undefined;
}

interface Had {
  readonly pages: BitArray;
  readonly clusters: BitArray;
}

/** What is known of blobs before anybody asks who shares what. */
export class MaskWitness {
  readonly #masks: WholeMasks;
  readonly #geometry: Geometry;
  /** What blobs have that can be read. */
  readonly #owned: Had;
  /** With what the others say that they have. */
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

  /** Notes what a blob has that the masks know. */
  add(blob: SurveyedBlob): void {
    for (const id of [blob.parentId, blob.counterpartId]) if (id !== undefined) this.#needed.add(pageOfBlobId(id));
    if (!this.#masks.blobIds.get(blob.page)) this.#areListed = false;
    note(this.#named, blob);
    if (!blob.isDamaged && !blob.isNewer) note(this.#owned, blob);
  }

  /** True when blobs on pages that the masks do not know are nobody's. */
  areStrays(blobs: readonly SurveyedBlob[]): boolean {
    return this.#areMasksRight() && blobs.every((blob) => !this.#needed.has(blob.page) && !this.#isMarked(blob));
  }

  #areMasksRight(): boolean {
    const { pages, clusters, blobIds } = this.#masks;
    if (!this.#areListed || clusters.findFirstClear(0) < this.#geometry.metadataClusterCount()) return false;
    return pages.includes(this.#owned.pages) && clusters.includes(this.#owned.clusters) && pages.includes(blobIds);
  }

  /** The masks mark something that it names, and that no other blob names. */
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
