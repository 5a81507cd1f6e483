/**
 * Roots in a closed store on pages that its masks do not know, as `store/strays.ts` has it: nobody's, as long as the masks are right about
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

/** What is known of blobs before anybody asks who shares what. */
export class MaskWitness {
  readonly #masks: WholeMasks;
  readonly #geometry: Geometry;
  readonly #pages: BitArray;
  readonly #clusters: BitArray;
  readonly #needed = new Set<MdPage>();
  #areListed = true;

  constructor(masks: WholeMasks, geometry: Geometry) {
    this.#masks = masks;
    this.#geometry = geometry;
    this.#pages = BitArray.private(masks.pages.capacity);
    this.#clusters = BitArray.private(masks.clusters.capacity);
  }

  /** Notes what a blob has that the masks know. Of one that cannot be read whole it is not believed. */
  add(blob: SurveyedBlob): void {
    for (const id of [blob.parentId, blob.counterpartId]) if (id !== undefined) this.#needed.add(pageOfBlobId(id));
    if (!this.#masks.blobIds.get(blob.page)) this.#areListed = false;
    if (blob.isDamaged || blob.isNewer) return;
    for (const page of pagesOf(blob)) this.#pages.set(page);
    forEachCluster(blob, (cluster) => this.#clusters.set(cluster));
  }

  /** True when blobs on pages that the masks do not know are nobody's. */
  areStrays(blobs: readonly SurveyedBlob[]): boolean {
    return this.#areMasksRight() && blobs.every((blob) => !this.#needed.has(blob.page) && !this.#isMarked(blob));
  }

  #areMasksRight(): boolean {
    const { pages, clusters, blobIds } = this.#masks;
    if (!this.#areListed || clusters.findFirstClear(0) < this.#geometry.metadataClusterCount()) return false;
    return pages.includes(this.#pages) && clusters.includes(this.#clusters) && pages.includes(blobIds);
  }

  /** The masks mark something that it names, and that no other blob has. */
  #isMarked(blob: SurveyedBlob): boolean {
    const { pages, clusters } = this.#masks;
    let isMarked = pagesOf(blob).some((page) => pages.get(page) && !this.#pages.get(page));
    forEachCluster(blob, (cluster) => {
      isMarked ||= clusters.get(cluster) && !this.#clusters.get(cluster);
    });
    return isMarked;
  }
}

function pagesOf(blob: SurveyedBlob): MdPage[] {
  return [...blob.chain, ...blob.extentPages];
}

function forEachCluster(blob: SurveyedBlob, visit: (cluster: number) => void): void {
  for (const { first, end } of blob.runs) for (let cluster = first; cluster < end; cluster++) visit(cluster);
}
