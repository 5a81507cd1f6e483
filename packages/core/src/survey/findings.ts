/** What a survey knows so far: its parts add to it, one after another, and the last draws the conclusion. */

import { BitArray } from '../shared/bit-array.js';
import { type DamagedBlob, damageAt } from '../state/damage.js';
import type { Masks } from '../state/masks.js';
import type { StoreState } from '../state/store-state.js';
import type { BlobstoreError } from '../units/error.js';
import { type BlobId, blobIdOfPage, type MdPage, pageOfBlobId } from '../units/units.js';
import { Owners } from './owners.js';

/** A blob whose first page is in its place, and sealed. */
export interface FoundBlob {
  page: MdPage;
  parentId: BlobId | undefined;
  /** The other blob of a snapshot being made or deleted. */
  otherId: BlobId | undefined;
  /** It cannot be written, or it is a snapshot being made: it may have clones. */
  mayHaveClones: boolean;
  /** It cannot be opened here, but that is no damage. */
  isUnavailable: boolean;
}

export class SurveyFindings {
  readonly pageCount: number;
  readonly clusterCount: number;
  readonly #metadataClusterCount: number;
  /** By their first pages. */
  readonly blobs = new Map<MdPage, FoundBlob>();
  readonly damaged = new Map<MdPage, DamagedBlob>();
  /** What blobs have that can be read. */
  readonly owners: Owners;
  /** What damaged blobs name. */
  readonly claimed: Pick<Masks, 'pages' | 'clusters'>;
  readonly notZero: BitArray;
  readonly unsealed: BitArray;
  readonly misplaced: BitArray;
  readonly lostClones: { id: BlobId; parentId: BlobId }[] = [];
  readonly lostPages = new Set<MdPage>();
  /** Roots on pages that the masks do not know, and that are nobody's, see `strays.ts`. */
  strays: readonly MdPage[] = [];
  /** Pages that hold neither zeroes nor what anybody writes, and that believable masks call free. */
  readonly freeNoise: MdPage[] = [];
  readonly halfDeleted = new Map<MdPage, BlobstoreError>();
  hidesParents = false;
  /** A blob may have more than it names. */
  hidesClusters = false;

  constructor(store: StoreState) {
    const pageCount = store.geometry.mdPageCount;
    const clusterCount = store.shared.clusters.capacity;
    this.pageCount = pageCount;
    this.clusterCount = clusterCount;
    this.#metadataClusterCount = store.geometry.metadataClusterCount();
    this.owners = new Owners(pageCount, clusterCount);
    this.claimed = { pages: BitArray.private(pageCount), clusters: BitArray.private(clusterCount) };
    this.notZero = BitArray.private(pageCount);
    this.unsealed = BitArray.private(pageCount);
    this.misplaced = BitArray.private(pageCount);
  }

  /** Something is damaged, or cannot be read by this version: what seems to be free must not be cleared. */
  get isDoubtful(): boolean {
    return this.damaged.size > 0 || this.hidesClusters;
  }

  setDamaged(page: MdPage, how: string): void {
    if (this.damaged.has(page)) return;
    this.damaged.set(page, damageAt(page, `blob ${blobIdOfPage(page)} is damaged: ${how}`));
  }

  /** A new blob must not get the id of a lost one that others name: it would be taken for it. */
  reserveIdOf(id: BlobId | undefined): void {
    if (id === undefined || pageOfBlobId(id) >= this.pageCount || this.blobs.has(pageOfBlobId(id))) return;
    this.lostPages.add(pageOfBlobId(id));
  }

  /** Masks that call free what a blob has, or that do not fit each other, are not to be believed elsewhere either. */
  agreesWith({ pages, clusters, blobIds }: Masks): boolean {
    if (!pages.includes(this.owners.pages) || !clusters.includes(this.owners.clusters)) return false;
    if (clusters.findFirstClear(0) < this.#metadataClusterCount) return false;
    return pages.includes(blobIds) && [...this.blobs.keys()].every((page) => blobIds.get(page));
  }
}
