/**
 * What a survey has found so far. The parts of the survey add to it, one after another; the last one draws the
 * conclusion.
 */

import { BitArray } from '../shared/bit-array.js';
import { type DamagedBlob, damageAt } from '../state/damage.js';
import type { Masks } from '../state/masks.js';
import type { StoreState } from '../state/store-state.js';
import type { BlobstoreError } from '../units/error.js';
import { type BlobId, blobIdOfPage, type MdPage, NONE_U32, pageOfBlobId } from '../units/units.js';
import { Owners } from './owners.js';

/** A blob whose first page has the id of its place and a correct crc. */
export interface FoundBlob {
  page: MdPage;
  parentId: BlobId | undefined;
  /** For a snapshot that was being created or deleted: the other blob, which its mark names. */
  otherId: BlobId | undefined;
  /** True when the blob is read-only, or is a snapshot that was being created: it may have clones. */
  mayHaveClones: boolean;
  /** True when it cannot be opened here, although it is not damaged. */
  isUnavailable: boolean;
}

export class SurveyFindings {
  readonly pageCount: number;
  readonly clusterCount: number;
  readonly #metadataClusterCount: number;
  /** The blobs, by their first pages. */
  readonly blobs = new Map<MdPage, FoundBlob>();
  readonly damaged = new Map<MdPage, DamagedBlob>();
  /** The pages and clusters of the blobs that can be read. */
  readonly owners: Owners;
  /** What damaged blobs name. */
  readonly claimed: Pick<Masks, 'pages' | 'clusters'>;
  readonly notZero: BitArray;
  readonly unsealed: BitArray;
  readonly misplaced: BitArray;
  readonly lostClones: { id: BlobId; parentId: BlobId }[] = [];
  readonly lostPages = new Set<MdPage>();
  /** Roots on pages that the masks do not know, and that belong to no blob; see `strays.ts`. */
  strays: readonly MdPage[] = [];
  /** Pages with content that is neither zeroes nor what a writer leaves there, and that trusted masks call free. */
  readonly freeNoise: MdPage[] = [];
  readonly halfDeleted = new Map<MdPage, BlobstoreError>();
  hidesParents = false;
  /** True when a blob may have more than it names. */
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

  /**
   * True when something is damaged, or cannot be read by this version: what seems to be free must not be cleared then.
   */
  get isDoubtful(): boolean {
    return this.damaged.size > 0 || this.hidesClusters;
  }

  /** True if no page or blob read so far is damaged or of a newer version: pages not in use need not be read then. */
  get isPlain(): boolean {
    const { damaged, halfDeleted, unsealed, misplaced, blobs } = this;
    if (damaged.size > 0 || halfDeleted.size > 0) return false;
    if (unsealed.findFirstSet(0) !== NONE_U32 || misplaced.findFirstSet(0) !== NONE_U32) return false;
    return [...blobs.values()].every(({ isUnavailable }) => !isUnavailable);
  }

  setDamaged(page: MdPage, how: string): void {
    if (this.damaged.has(page)) return;
    this.damaged.set(page, damageAt(page, `blob ${blobIdOfPage(page)} is damaged: ${how}`));
  }

  /**
   * Reserves the page of a lost blob that another blob names. A new blob there would get the same id, and would be
   * taken for the lost one.
   */
  reserveIdOf(id: BlobId | undefined): void {
    if (id === undefined || pageOfBlobId(id) >= this.pageCount || this.blobs.has(pageOfBlobId(id))) return;
    this.lostPages.add(pageOfBlobId(id));
  }

  /**
   * True when the masks agree with the blobs. Masks that call free what a blob has, or that contradict each other, are
   * not trusted elsewhere either.
   */
  agreesWith({ pages, clusters, blobIds }: Masks): boolean {
    if (!pages.includes(this.owners.pages) || !clusters.includes(this.owners.clusters)) return false;
    if (clusters.findFirstClear(0) < this.#metadataClusterCount) return false;
    return pages.includes(blobIds) && [...this.blobs.keys()].every((page) => blobIds.get(page));
  }
}
