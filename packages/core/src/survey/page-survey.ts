/** The first part of a survey: the contents of the pages, what the blobs on them have, and what damaged blobs name. */

import { Blob } from '../blob/blob.js';
import { mayHaveClones, otherOf } from '../blob/snapshot-mark.js';
import { DESCRIPTOR } from '../format/descriptor.js';
import { DESCRIPTORS_AT, type MdPageView } from '../format/md-page.js';
import { requireExternalId } from '../metadata/external.js';
import { HalfDeletedError, readMetadata } from '../metadata/load-blob.js';
import { damageAt } from '../state/damage.js';
import type { Masks } from '../state/masks.js';
import type { RegionReader } from '../state/region-reader.js';
import type { StoreState } from '../state/store-state.js';
import type { Steps } from '../steps/steps.js';
import { BlobstoreError, UnavailableBlobError } from '../units/error.js';
import { blobIdOfPage, INVALID_BLOB_ID, type MdPage, NONE_U32, pageOfBlobId } from '../units/units.js';
import { ClaimReader, type ClaimSink } from './claims.js';
import type { FoundBlob, SurveyFindings } from './findings.js';
import { areStrays, isUnknown } from './strays.js';

export class PageSurvey {
  readonly #store: StoreState;
  readonly #region: RegionReader;
  readonly #found: SurveyFindings;
  /** Roots on pages that the masks do not know. */
  readonly #unknown: MdPage[] = [];

  constructor(store: StoreState, region: RegionReader, found: SurveyFindings) {
    this.#store = store;
    this.#region = region;
    this.#found = found;
  }

  *run(masks: Masks | undefined): Steps<void> {
    const { superBlobId } = this.#store;
    if (superBlobId !== INVALID_BLOB_ID) this.#region.expect(pageOfBlobId(superBlobId));
    yield* this.#readRegion(0, masks);
    const { end } = this.#region;
    if (!this.#found.isPlain) {
      this.#region.distrustEnd();
      yield* this.#readRegion(end, masks);
    }
    yield* this.#readUnknown(masks);
    yield* this.#readClaims();
    yield* this.#doubtDeletions();
    yield* this.#findDamagedPages(masks);
  }

  /** Reads the pages from `from` on. */
  *#readRegion(from: number, masks: Masks | undefined): Steps<void> {
    const { notZero, unsealed, misplaced } = this.#found;
    const region = this.#region;
    for (let index = yield* region.nextUsed(from); index < region.end; index = yield* region.nextUsed(index + 1)) {
      const number = index as MdPage;
      const page = yield* region.anywhere(number);
      notZero.set(index);
      if (!page.isSealed) unsealed.set(index);
      else if (isMisplaced(page, number)) misplaced.set(index);
      else if (page.id !== blobIdOfPage(number)) continue;
      else if (masks && isUnknown(masks, index)) this.#unknown.push(number);
      else yield* this.#readBlob(number);
    }
  }

  /**
   * Decides about roots that the masks do not know: either they are strays, or the masks are wrong and they are blobs.
   */
  *#readUnknown(masks: Masks | undefined): Steps<void> {
    const roots = this.#unknown;
    if (!masks || roots.length === 0) return;
    const { unsealed, damaged, owners, clusterCount } = this.#found;
    if (this.#found.agreesWith(masks)) {
      const blobs = [...this.#found.blobs.values()];
      const isUnreadable = ({ page, isUnavailable }: FoundBlob) => isUnavailable || damaged.has(page);
      const unreadable = blobs.filter(isUnreadable).map(({ page }) => page);
      for (let at = unsealed.findFirstSet(0); at !== NONE_U32; at = unsealed.findFirstSet(at + 1)) {
        if (masks.blobIds.get(at)) unreadable.push(at as MdPage);
      }
      const readClaims = (page: MdPage, sink: ClaimSink) => {
        return new ClaimReader(this.#region, this.#store.geometry, clusterCount, page, sink).read(true);
      };
      const known = { owners, blobs, unreadable };
      if (yield* areStrays(roots, masks, known, readClaims)) this.#found.strays = roots;
    }
    if (this.#found.strays.length === 0) for (const page of roots) yield* this.#readBlob(page);
  }

  *#readBlob(page: MdPage): Steps<void> {
    const found: FoundBlob = {
      page,
      parentId: undefined,
      otherId: undefined,
      mayHaveClones: true,
      isUnavailable: false,
    };
    this.#found.blobs.set(page, found);
    const blob = new Blob(this.#store.shared, blobIdOfPage(page));
    try {
      yield* readMetadata(this.#store, blob);
      if (blob.isExternalClone) requireExternalId(blob);
      found.parentId = blob.isClone ? blob.parentId : undefined;
      found.otherId = otherOf(blob);
      found.mayHaveClones = mayHaveClones(blob);
      for (const id of [found.parentId, found.otherId]) if (id !== undefined) this.#region.expect(pageOfBlobId(id));
      this.#found.owners.add(blob);
    } catch (error) {
      if (!(error instanceof BlobstoreError) || error.code === 'EIO') throw error;
      found.isUnavailable = error instanceof UnavailableBlobError;
      if (error instanceof HalfDeletedError) this.#found.halfDeleted.set(page, error);
      else if (!found.isUnavailable) this.#found.damaged.set(page, { id: blob.id, page, error });
    } finally {
      blob.free();
    }
  }

  /** Finds out what the blobs that cannot be read name. */
  *#readClaims(): Steps<void> {
    for (const { page, isUnavailable } of this.#found.blobs.values()) {
      if (isUnavailable || this.#found.damaged.has(page)) yield* this.#readClaimsOf(page, true);
    }
  }

  /**
   * Decides about half-deleted blobs. A blob that another blob needs cannot have been deleted: then its page of zeroes
   * is damage. Otherwise the blob is gone.
   */
  *#doubtDeletions(): Steps<void> {
    const { blobs, damaged, halfDeleted, lostClones } = this.#found;
    const needed = new Set(lostClones.map(({ parentId }) => parentId));
    for (const { parentId, otherId } of blobs.values()) {
      if (parentId !== undefined) needed.add(parentId);
      if (otherId !== undefined) needed.add(otherId);
    }
    for (const [page, error] of halfDeleted) {
      const id = blobIdOfPage(page);
      if (!needed.has(id)) {
        blobs.delete(page);
        continue;
      }
      halfDeleted.delete(page);
      damaged.set(page, { id, page, error });
      yield* this.#readClaimsOf(page, true);
    }
  }

  /**
   * Finds damaged pages that no blob names: pages with a wrong crc, and misplaced ones. A page that trusted masks call
   * free belongs to no blob.
   */
  *#findDamagedPages(masks: Masks | undefined): Steps<void> {
    const { notZero, unsealed, misplaced, owners, claimed, damaged, freeNoise } = this.#found;
    const marked = masks && this.#found.agreesWith(masks) ? masks.pages : undefined;
    for (let index = notZero.findFirstSet(0); index !== NONE_U32; index = notZero.findFirstSet(index + 1)) {
      if (!unsealed.get(index) && !misplaced.get(index)) continue;
      if (owners.pages.get(index) || claimed.pages.get(index)) continue;
      const number = index as MdPage;
      if (marked?.get(index) === false) {
        freeNoise.push(number);
        continue;
      }
      const page = yield* this.#region.anywhere(number);
      damaged.set(number, damageAt(number, describePage(page, number)));
      yield* this.#readClaimsOf(number, false);
    }
  }

  *#readClaimsOf(first: MdPage, isRoot: boolean): Steps<void> {
    const found = this.#found;
    const { pages, clusters } = found.claimed;
    const { geometry } = this.#store;
    const reader = new ClaimReader(this.#region, geometry, found.clusterCount, first, {
      page: (page, sealed) => {
        pages.set(page);
        if (sealed) found.owners.contestPage(page);
        if (found.notZero.get(page) && !found.unsealed.get(page)) return;
        // Also for a blob that cannot be opened for another reason: nothing else has read its pages up to here.
        found.setDamaged(first, `the crc of metadata page ${page} does not fit`);
      },
      clusters: (from, count, sealed) => {
        for (let at = from; at < from + count; at++) clusters.set(at);
        if (sealed) found.owners.contestClusters(from, count);
      },
    });
    const { isComplete, knowsParent, parentId } = yield* reader.read(isRoot);
    // Even with a correct crc, a damaged blob may name other clusters than it had.
    if (!isComplete || found.damaged.has(first)) found.hidesClusters = true;
    if (!knowsParent) found.hidesParents = true;
    if (parentId !== undefined) found.lostClones.push({ id: blobIdOfPage(first), parentId });
    found.reserveIdOf(parentId);
  }
}

/**
 * True for a page with a correct crc that no writer leaves there. Old pages of a chain, and old extent pages, can be
 * anywhere.
 */
export function isMisplaced(page: MdPageView, number: MdPage): boolean {
  if (page.id === blobIdOfPage(number)) return page.sequence !== 0;
  return page.sequence === 0 && page.view.getUint8(DESCRIPTORS_AT) !== DESCRIPTOR.EXTENT_PAGE;
}

function describePage(page: MdPageView, number: MdPage): string {
  const { id, sequence, isSealed } = page;
  const ownId = blobIdOfPage(number);
  if (isSealed)
    return `metadata page ${number} is damaged: it is page ${sequence} of blob ${id}, which does not belong there`;
  if (id === ownId && sequence === 0) return `blob ${id} is damaged: the crc of metadata page ${number} does not fit`;
  return `metadata page ${number} is damaged: its crc does not fit; it may be the root of blob ${ownId}`;
}
