/**
 * A close look at all metadata pages, which tells what is damaged from what is sound, and writes nothing. A page lands whole, so
 * that every page of the region is all zeroes, or sealed by its crc. Damaged are
 *
 * - a page that is neither, unless it belongs to a blob, which is damaged then;
 * - a sealed page that no writer leaves: the beginning of a blob in a place that is not its own, or in its own place what is
 *   no beginning;
 * - a blob that cannot be read, or names a cluster twice;
 * - both of two blobs that name the same cluster or page, unless one is a snapshot being made or deleted, and marked with the
 *   other's id, or about to be removed: which one is right cannot be known;
 * - a blob that the masks of a cleanly unloaded store list, and that is not there; but a root that they do not know is none;
 * - a clone of a blob that is damaged, or not there, or can be written, or a clone of its clone, or of a snapshot that is
 *   about to be removed; a snapshot marked with the id of a damaged blob.
 *
 * Everything that belongs, or may belong, to what is damaged stays reserved. What it names is not enough: it may have had what
 * it does not name any more. So all clusters up to the last one that was in use stay reserved, too, but for those of sound
 * blobs. Which was the last one is known after a clean unload, and by the high-water mark; where there is none, as the
 * reference writes none, every cluster may be the one, and the store has no free space until the damage is repaired.
 */

import { Blob, INTERNAL_XATTR } from '../blob/blob.js';
import { DESCRIPTOR } from '../format/descriptor.js';
import { DESCRIPTORS_AT, type MdPageView } from '../format/md-page.js';
import { requireExternalId } from '../metadata/external.js';
import { HalfDeletedError, readMetadata } from '../metadata/load-blob.js';
import { BitArray } from '../shared/bit-array.js';
import { type DamagedBlob, damageAt } from '../state/damage.js';
import type { Masks } from '../state/masks.js';
import { BATCH_PAGES, RegionReader } from '../state/region-reader.js';
import type { SharedByBlobs, StoreState } from '../state/store-state.js';
import type { Steps } from '../steps/steps.js';
import { BlobstoreError, UnavailableBlobError } from '../units/error.js';
import { type BlobId, blobIdOfPage, type MdPage, NONE_U32, pageOfBlobId } from '../units/units.js';
import { ClaimReader, type ClaimSink } from './claims.js';
import { type KilledDelete, readKilledDelete } from './killed-delete.js';
import { Owners, Sharers } from './owners.js';
import { areStrays, isUnknown } from './strays.js';

/** What a survey found. Of `pages` and `clusters` those are set that must not be handed out. */
export interface Survey extends Masks {
  /** In the order of their pages. */
  damaged: DamagedBlob[];
  /** What more than one blob names. */
  shared: SharedByBlobs;
  /** Blobs that are set aside or unavailable, and the snapshots that they say they are clones of. */
  lostClones: { id: BlobId; parentId: BlobId }[];
  /** There may be more of these. */
  hidesParents: boolean;
  /** Something is damaged, or cannot be read by this version: what seems to be free must not be cleared. */
  isDoubtful: boolean;
  /** Pages where blobs began that others name, and that are lost. */
  lostPages: ReadonlySet<MdPage>;
  /** Free pages that are to be zeroed before the store is marked as in use: then they would be taken for blobs, or for damage. */
  noise: readonly MdPage[];
  /** Deletions to be ended. */
  killedDeletes: readonly KilledDelete[];
}

/** What else is known of a store. */
export interface Evidence {
  /** The masks of a store that was cleanly unloaded. */
  masks: Masks | undefined;
  /** No cluster at or above it was in use; undefined when that is not known. */
  highWater: number | undefined;
}

/** A blob whose first page is in its place, and sealed. */
interface FoundBlob {
  page: MdPage;
  parentId: BlobId | undefined;
  /** The other blob of a snapshot being made or deleted. */
  otherId: BlobId | undefined;
  /** It cannot be written, or it is a snapshot being made: it may have clones. */
  mayHaveClones: boolean;
  /** It cannot be opened here, but that is no damage. */
  isUnavailable: boolean;
}

export function* surveyStore(store: StoreState, evidence: Evidence): Steps<Survey> {
  const region = new RegionReader(store.deviceChannel, store.geometry);
  store.knowsUsed = false;
  store.regionReader = region;
  try {
    return yield* new Surveyor(store, region).run(evidence);
  } finally {
    store.knowsUsed = true;
    store.regionReader = undefined;
  }
}

class Surveyor {
  readonly #store: StoreState;
  readonly #region: RegionReader;
  readonly #pageCount: number;
  readonly #clusterCount: number;
  readonly #blobs = new Map<MdPage, FoundBlob>();
  readonly #damaged = new Map<MdPage, DamagedBlob>();
  readonly #owners: Owners;
  /** What damaged blobs name. */
  readonly #claimed: Pick<Masks, 'pages' | 'clusters'>;
  readonly #notZero: BitArray;
  readonly #unsealed: BitArray;
  readonly #misplaced: BitArray;
  readonly #lostClones: { id: BlobId; parentId: BlobId }[] = [];
  readonly #lostPages = new Set<MdPage>();
  /** Roots on pages that the masks do not know. */
  readonly #unknown: MdPage[] = [];
  /** Those of them that are nobody's, see `strays.ts`. */
  #strays: readonly MdPage[] = [];
  /** Pages that hold neither zeroes nor what anybody writes, and that believable masks call free. */
  readonly #freeNoise: MdPage[] = [];
  readonly #halfDeleted = new Map<MdPage, BlobstoreError>();
  #hidesParents = false;
  /** A blob may have more than it names. */
  #hidesClusters = false;

  constructor(store: StoreState, region: RegionReader) {
    const pageCount = store.geometry.mdPageCount;
    const clusterCount = store.shared.clusters.capacity;
    this.#store = store;
    this.#region = region;
    this.#pageCount = pageCount;
    this.#clusterCount = clusterCount;
    this.#owners = new Owners(pageCount, clusterCount);
    this.#claimed = { pages: BitArray.private(pageCount), clusters: BitArray.private(clusterCount) };
    this.#notZero = BitArray.private(pageCount);
    this.#unsealed = BitArray.private(pageCount);
    this.#misplaced = BitArray.private(pageCount);
  }

  *run(evidence: Evidence): Steps<Survey> {
    yield* this.#readRegion(evidence.masks);
    yield* this.#readUnknown(evidence.masks);
    yield* this.#readClaims();
    yield* this.#doubtDeletions();
    yield* this.#findDamagedPages(evidence.masks);
    this.#findMissingRoots(evidence.masks);
    yield* this.#findSharing();
    this.#findLostParents();
    this.#spreadDamage();
    return yield* this.#conclude(evidence);
  }

  *#readRegion(masks: Masks | undefined): Steps<void> {
    for (let index = 0; index < this.#pageCount; index++) {
      if (index % BATCH_PAGES === 0) yield undefined;
      const number = index as MdPage;
      const page = yield* this.#region.inOrder(number);
      if (page.isZero) continue;
      this.#notZero.set(index);
      if (!page.isSealed) this.#unsealed.set(index);
      else if (isMisplaced(page, number)) this.#misplaced.set(index);
      else if (page.id !== blobIdOfPage(number)) continue;
      else if (masks && isUnknown(masks, index)) this.#unknown.push(number);
      else yield* this.#readBlob(number);
    }
  }

  /** Roots that the masks do not know: strays, or else the masks have forgotten blobs. */
  *#readUnknown(masks: Masks | undefined): Steps<void> {
    const roots = this.#unknown;
    if (!masks || roots.length === 0) return;
    if (this.#agreesWith(masks)) {
      const blobs = [...this.#blobs.values()];
      const isUnreadable = ({ page, isUnavailable }: FoundBlob) => isUnavailable || this.#damaged.has(page);
      const unreadable = blobs.filter(isUnreadable).map(({ page }) => page);
      for (let at = this.#unsealed.findFirstSet(0); at !== NONE_U32; at = this.#unsealed.findFirstSet(at + 1)) {
        if (masks.blobIds.get(at)) unreadable.push(at as MdPage);
      }
      const readClaims = (page: MdPage, sink: ClaimSink) => {
        return new ClaimReader(this.#region, this.#store.geometry, this.#clusterCount, page, sink).read(true);
      };
      const known = { owners: this.#owners, blobs, unreadable };
      if (yield* areStrays(roots, masks, known, readClaims)) this.#strays = roots;
    }
    if (this.#strays.length === 0) for (const page of roots) yield* this.#readBlob(page);
  }

  *#readBlob(page: MdPage): Steps<void> {
    const found: FoundBlob = {
      page,
      parentId: undefined,
      otherId: undefined,
      mayHaveClones: true,
      isUnavailable: false,
    };
    this.#blobs.set(page, found);
    const blob = new Blob(this.#store.shared, blobIdOfPage(page));
    try {
      yield* readMetadata(this.#store, blob);
      if (blob.isExternalClone) requireExternalId(blob);
      found.parentId = blob.isClone ? blob.parentId : undefined;
      found.otherId = otherOf(blob);
      found.mayHaveClones = mayHaveClones(blob);
      this.#owners.add(blob);
    } catch (error) {
      if (!(error instanceof BlobstoreError) || error.code === 'EIO') throw error;
      found.isUnavailable = error instanceof UnavailableBlobError;
      if (error instanceof HalfDeletedError) this.#halfDeleted.set(page, error);
      else if (!found.isUnavailable) this.#damaged.set(page, { id: blob.id, page, error });
    } finally {
      blob.free();
    }
  }

  /** Nobody deletes what another blob needs: then the page of zeroes is damage. Otherwise the blob is gone. */
  *#doubtDeletions(): Steps<void> {
    const needed = new Set(this.#lostClones.map(({ parentId }) => parentId));
    for (const { parentId, otherId } of this.#blobs.values()) {
      if (parentId !== undefined) needed.add(parentId);
      if (otherId !== undefined) needed.add(otherId);
    }
    for (const [page, error] of this.#halfDeleted) {
      const id = blobIdOfPage(page);
      if (!needed.has(id)) {
        this.#blobs.delete(page);
        continue;
      }
      this.#halfDeleted.delete(page);
      this.#damaged.set(page, { id, page, error });
      yield* this.#readClaimsOf(page, true);
    }
  }

  /** Finds what is named by blobs that cannot be read. */
  *#readClaims(): Steps<void> {
    for (const { page, isUnavailable } of this.#blobs.values()) {
      if (isUnavailable || this.#damaged.has(page)) yield* this.#readClaimsOf(page, true);
    }
  }

  *#readClaimsOf(first: MdPage, isRoot: boolean): Steps<void> {
    const { pages, clusters } = this.#claimed;
    const { geometry } = this.#store;
    const reader = new ClaimReader(this.#region, geometry, this.#clusterCount, first, {
      page: (page, sealed) => {
        pages.set(page);
        if (sealed) this.#owners.contestPage(page);
        if (this.#notZero.get(page) && !this.#unsealed.get(page)) return;
        // Also of a blob that cannot be opened for another reason, which nobody has read as far as here.
        this.#setDamaged(first, `the crc of metadata page ${page} does not fit`);
      },
      clusters: (from, count, sealed) => {
        for (let at = from; at < from + count; at++) clusters.set(at);
        if (sealed) this.#owners.contestClusters(from, count);
      },
    });
    const { isComplete, knowsParent, parentId } = yield* reader.read(isRoot);
    if (!isComplete || this.#damaged.has(first)) this.#hidesClusters = true; // sealed, it may name something else than it had
    if (!knowsParent) this.#hidesParents = true;
    if (parentId !== undefined) this.#lostClones.push({ id: blobIdOfPage(first), parentId });
    this.#reserveIdOf(parentId);
  }

  /** Pages that cannot be what they are, and that no blob names. What believable masks call free is nobody's. */
  *#findDamagedPages(masks: Masks | undefined): Steps<void> {
    const marked = masks && this.#agreesWith(masks) ? masks.pages : undefined;
    for (let index = 0; index < this.#pageCount; index++) {
      if (!this.#unsealed.get(index) && !this.#misplaced.get(index)) continue;
      if (this.#owners.pages.get(index) || this.#claimed.pages.get(index)) continue;
      const number = index as MdPage;
      if (marked?.get(index) === false) {
        this.#freeNoise.push(number);
        continue;
      }
      const page = yield* this.#region.anywhere(number);
      this.#damaged.set(number, damageAt(number, describePage(page, number)));
      yield* this.#readClaimsOf(number, false);
    }
  }

  /** Blobs that the masks list, and that are not there: of these nothing is known but that they had something. */
  #findMissingRoots(masks: Masks | undefined): void {
    if (!masks || !this.#agreesWith(masks)) return;
    for (let index = masks.blobIds.findFirstSet(0); index !== NONE_U32; index = masks.blobIds.findFirstSet(index + 1)) {
      const page = index as MdPage;
      if (this.#blobs.has(page) || this.#damaged.has(page) || this.#owners.pages.get(page)) continue;
      const how = `the mask of blob ids lists it, and metadata page ${page}, where it began, holds no blob's beginning`;
      this.#damaged.set(page, damageAt(page, `blob ${blobIdOfPage(page)} is lost: ${how}`));
      this.#hidesClusters = true;
      this.#hidesParents = true;
    }
  }

  /** Masks that call free what a blob has, or that do not fit each other, are not to be believed elsewhere either. */
  #agreesWith({ pages, clusters, blobIds }: Masks): boolean {
    if (!pages.includes(this.#owners.pages) || !clusters.includes(this.#owners.clusters)) return false;
    if (clusters.findFirstClear(0) < this.#store.geometry.metadataClusterCount()) return false;
    return pages.includes(blobIds) && [...this.#blobs.keys()].every((page) => blobIds.get(page));
  }

  /** Finds out who names what more than one blob names, and whether they may. */
  *#findSharing(): Steps<void> {
    const { shared } = this.#owners;
    if (!this.#owners.hasShared) return;
    const sharers = new Sharers();
    for (const found of this.#blobs.values()) {
      if (found.isUnavailable || this.#damaged.has(found.page)) continue;
      const blob = new Blob(this.#store.shared, blobIdOfPage(found.page));
      try {
        yield* readMetadata(this.#store, blob);
        sharers.add({ ...found, goes: this.#goes(found) }, blob, shared);
      } finally {
        blob.free();
      }
      yield undefined;
    }
    for (const { page, how } of sharers.damaged(this.#owners.contested)) {
      this.#damaged.set(page, damageAt(page, `blob ${blobIdOfPage(page)} is damaged: ${how}`));
      this.#hidesClusters = true;
    }
  }

  /** True for a snapshot that was being made or deleted, and that opening the store removes: the other blob does not need it. */
  #goes({ page, otherId }: FoundBlob): boolean {
    const other = otherId === undefined ? undefined : this.#blobs.get(pageOfBlobId(otherId));
    if (!other || otherId !== blobIdOfPage(other.page) || other.isUnavailable || this.#damaged.has(other.page))
      return false;
    return other.parentId !== blobIdOfPage(page);
  }

  /** Clones of what is not there, or of themselves. */
  #findLostParents(): void {
    const isFound = (id: BlobId) => this.#blobs.has(pageOfBlobId(id)) && blobIdOfPage(pageOfBlobId(id)) === id;
    for (const { page, parentId, otherId } of this.#blobs.values()) {
      const parent = parentId === undefined ? undefined : this.#blobs.get(pageOfBlobId(parentId));
      if (parentId !== undefined && !(isFound(parentId) && parent?.mayHaveClones)) {
        const how = isFound(parentId) ? 'which can be written' : 'which is not there';
        this.#setDamaged(page, `it is a clone of blob ${parentId}, ${how}`);
        this.#hidesParents = true;
      } else if (parent && this.#goes(parent)) {
        this.#setDamaged(
          parent.page,
          `it is a snapshot, not yet made or deleted, and blob ${blobIdOfPage(page)} its clone`,
        );
      }
      if (otherId !== undefined && !isFound(otherId)) {
        this.#setDamaged(page, `it is a snapshot, not yet made or deleted, of blob ${otherId}, which is not there`);
      }
      this.#reserveIdOf(parentId);
      this.#reserveIdOf(otherId);
    }
    const done = new Set<MdPage>();
    for (const start of this.#blobs.keys()) {
      const line = new Set<MdPage>();
      let at = this.#blobs.get(start);
      while (at && !done.has(at.page) && !line.has(at.page)) {
        line.add(at.page);
        at = at.parentId === undefined ? undefined : this.#blobs.get(pageOfBlobId(at.parentId));
      }
      if (at && line.has(at.page)) {
        this.#setDamaged(at.page, "it is its own parent, or a parent's");
        this.#hidesParents = true;
      }
      for (const page of line) done.add(page);
    }
  }

  /** A new blob must not get the id of a lost one that others name: it would be taken for it. */
  #reserveIdOf(id: BlobId | undefined): void {
    if (id === undefined || pageOfBlobId(id) >= this.#pageCount || this.#blobs.has(pageOfBlobId(id))) return;
    this.#lostPages.add(pageOfBlobId(id));
  }

  #setDamaged(page: MdPage, how: string): void {
    if (this.#damaged.has(page)) return;
    this.#damaged.set(page, damageAt(page, `blob ${blobIdOfPage(page)} is damaged: ${how}`));
  }

  /** What cannot be used without a damaged blob is damaged, too. */
  #spreadDamage(): void {
    const dependants = new Map<MdPage, FoundBlob[]>();
    const note = (id: BlobId | undefined, blob: FoundBlob) => {
      if (id === undefined) return;
      const page = pageOfBlobId(id);
      const known = dependants.get(page);
      if (known) known.push(blob);
      else dependants.set(page, [blob]);
    };
    for (const blob of this.#blobs.values()) {
      note(blob.parentId, blob);
      note(blob.otherId, blob);
    }
    const queue = [...this.#damaged.keys()];
    for (let page = queue.pop(); page !== undefined; page = queue.pop()) {
      for (const blob of dependants.get(page) ?? []) {
        if (this.#damaged.has(blob.page)) continue;
        const isClone = blob.parentId !== undefined && pageOfBlobId(blob.parentId) === page;
        const what = isClone ? 'it is a clone of' : 'it is a snapshot, not yet made or deleted, of';
        this.#setDamaged(blob.page, `${what} blob ${blobIdOfPage(page)}, which is damaged`);
        queue.push(blob.page);
      }
    }
    for (const { page, parentId } of this.#blobs.values()) {
      if (parentId !== undefined && this.#damaged.has(page)) {
        this.#lostClones.push({ id: blobIdOfPage(page), parentId });
      }
    }
  }

  *#conclude(evidence: Evidence): Steps<Survey> {
    const { pages, clusters, shared } = this.#owners;
    const { masks } = evidence;
    const end = this.#reservedEnd(evidence);
    const blobIds = BitArray.private(this.#pageCount);
    for (const page of [...this.#blobs.keys(), ...this.#damaged.keys()]) blobIds.set(page);
    clusters.setBelow(Math.max(end, this.#store.geometry.metadataClusterCount()));
    for (const page of this.#lostPages) pages.set(page);
    pages.add(this.#claimed.pages);
    clusters.add(this.#claimed.clusters);
    if (this.#isDoubtful) {
      pages.add(this.#notZero);
      if (masks) {
        pages.add(masks.pages);
        clusters.add(masks.clusters);
      }
    }
    // Whoever names a stray names no page of his own; and what believable masks call free stays free, whatever is damaged.
    for (const page of [...this.#strays, ...this.#freeNoise]) if (!this.#lostPages.has(page)) pages.clear(page);
    const killedDeletes = yield* this.#readKilledDeletes(pages, clusters);
    const isFull = end === this.#clusterCount;
    const damaged = [...this.#damaged.values()].sort((a, b) => a.page - b.page).map((each) => told(each, isFull));
    return {
      pages,
      clusters,
      blobIds,
      damaged,
      shared,
      lostClones: this.#lostClones,
      hidesParents: this.#hidesParents,
      isDoubtful: this.#isDoubtful,
      lostPages: this.#lostPages,
      noise: this.#isDoubtful ? this.#strays : [...this.#strays, ...this.#freeNoise],
      killedDeletes,
    };
  }

  /** What half deleted blobs have and nobody else, which is marked as used. */
  *#readKilledDeletes(pages: BitArray, clusters: BitArray): Steps<KilledDelete[]> {
    const found: KilledDelete[] = [];
    for (const page of this.#halfDeleted.keys()) {
      const rest = yield* readKilledDelete(this.#region, this.#store.geometry, this.#clusterCount, page, {
        page: (named) => !pages.get(named),
        cluster: (named) => !clusters.get(named),
      });
      for (const named of [page, ...rest.pages]) pages.set(named);
      for (const named of rest.clusters) clusters.set(named);
      found.push(rest);
    }
    return found;
  }

  get #isDoubtful(): boolean {
    return this.#damaged.size > 0 || this.#hidesClusters;
  }

  /**
   * Clusters up to the last one that is marked, but for those that damaged blobs name. These are reserved in any case, and so
   * marked from then on: nonsense that names the last cluster must not reserve all that is free when the store is next opened.
   */
  #lengthUsed(marked: BitArray): number {
    let end = marked.lengthUsed();
    while (end > 0 && (!marked.get(end - 1) || this.#claimed.clusters.get(end - 1))) end--;
    return end;
  }

  /** The clusters below this one stay reserved, whoever has them. What blobs name is reserved in any case. */
  #reservedEnd({ masks, highWater }: Evidence): number {
    const { pages, clusters } = this.#owners;
    if (!this.#isDoubtful) return 0;
    if (masks) {
      // Masks that call free what a sound blob has are not to be believed elsewhere either.
      const areBelieved = masks.pages.includes(pages) && masks.clusters.includes(clusters);
      if (areBelieved) return this.#hidesClusters ? this.#lengthUsed(masks.clusters) : 0;
    } else if (highWater !== undefined && highWater >= clusters.lengthUsed()) {
      return highWater; // even where all is known: what a crash left in free clusters is not cleared now, and must not be read
    }
    return this.#hidesClusters ? this.#clusterCount : 0;
  }
}

/** True for a sealed page that nobody writes there. Old pages of a chain, and old extent pages, may lie anywhere. */
export function isMisplaced(page: MdPageView, number: MdPage): boolean {
  if (page.id === blobIdOfPage(number)) return page.sequence !== 0;
  return page.sequence === 0 && page.view.getUint8(DESCRIPTORS_AT) !== DESCRIPTOR.EXTENT_PAGE;
}

/** True for a snapshot, or what is about to be one: what is behind a clone cannot be written. */
export function mayHaveClones(blob: Blob): boolean {
  return blob.dataRo || otherOf(blob) !== undefined;
}

/** The blob that the mark of a snapshot being made or deleted names. */
export function otherOf(blob: Blob): BlobId | undefined {
  return (
    blob.internalId(INTERNAL_XATTR.SNAPSHOT_PENDING_REMOVAL) ?? blob.internalId(INTERNAL_XATTR.SNAPSHOT_IN_PROGRESS)
  );
}

function describePage(page: MdPageView, number: MdPage): string {
  const { id, sequence, isSealed } = page;
  const ownId = blobIdOfPage(number);
  if (isSealed)
    return `metadata page ${number} is damaged: it is page ${sequence} of blob ${id}, which does not belong there`;
  if (id === ownId && sequence === 0) return `blob ${id} is damaged: the crc of metadata page ${number} does not fit`;
  return `metadata page ${number} is damaged: its crc does not fit; blob ${ownId} may have begun there`;
}

/** Damage, with what it means for the store. */
function told(damage: DamagedBlob, isFull: boolean): DamagedBlob {
  if (!isFull) return damage;
  const { code, message } = damage.error;
  const means = 'any cluster may be its own, so that the store has no free space as long as it is damaged';
  return { ...damage, error: new BlobstoreError(code, `${message}; ${means}`, { cause: damage.error }) };
}
