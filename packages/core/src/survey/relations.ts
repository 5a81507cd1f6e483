/**
 * The second part of a survey: whether blobs agree with the masks and with each other, and how damage spreads among
 * them.
 */

import { Blob } from '../blob/blob.js';
import { readMetadata } from '../metadata/load-blob.js';
import { damageAt } from '../state/damage.js';
import type { Masks } from '../state/masks.js';
import type { StoreState } from '../state/store-state.js';
import type { Steps } from '../steps/steps.js';
import { type BlobId, blobIdOfPage, type MdPage, NONE_U32, pageOfBlobId } from '../units/units.js';
import type { FoundBlob, SurveyFindings } from './findings.js';
import { Sharers } from './owners.js';

export function* surveyRelations(store: StoreState, found: SurveyFindings, masks: Masks | undefined): Steps<void> {
  findMissingRoots(found, masks);
  yield* findSharing(store, found);
  findLostParents(found);
  spreadDamage(found);
}

/**
 * Finds blobs that the masks list, and whose roots are missing. Nothing is known about them, except that they had
 * something.
 */
function findMissingRoots(found: SurveyFindings, masks: Masks | undefined): void {
  if (!masks || !found.agreesWith(masks)) return;
  for (let index = masks.blobIds.findFirstSet(0); index !== NONE_U32; index = masks.blobIds.findFirstSet(index + 1)) {
    const page = index as MdPage;
    if (found.blobs.has(page) || found.damaged.has(page) || found.owners.pages.get(page)) continue;
    const how = `the mask of blob ids lists it, and metadata page ${page}, where its root was, holds no root of a blob`;
    found.damaged.set(page, damageAt(page, `blob ${blobIdOfPage(page)} is lost: ${how}`));
    found.hidesClusters = true;
    found.hidesParents = true;
  }
}

/** Finds the blobs that name what more than one blob names, and checks whether they may. */
function* findSharing(store: StoreState, found: SurveyFindings): Steps<void> {
  const { shared } = found.owners;
  if (!found.owners.hasShared) return;
  const sharers = new Sharers();
  for (const each of found.blobs.values()) {
    if (each.isUnavailable || found.damaged.has(each.page)) continue;
    const blob = new Blob(store.shared, blobIdOfPage(each.page));
    try {
      yield* readMetadata(store, blob);
      sharers.add({ ...each, goes: goes(found, each) }, blob, shared);
    } finally {
      blob.free();
    }
    yield undefined;
  }
  for (const { page, how } of sharers.damaged(found.owners.contested)) {
    found.damaged.set(page, damageAt(page, `blob ${blobIdOfPage(page)} is damaged: ${how}`));
    found.hidesClusters = true;
  }
}

/** Finds clones whose parent is missing, and clones that are their own ancestors. */
function findLostParents(found: SurveyFindings): void {
  const isFound = (id: BlobId) => found.blobs.has(pageOfBlobId(id)) && blobIdOfPage(pageOfBlobId(id)) === id;
  for (const { page, parentId, otherId } of found.blobs.values()) {
    const parent = parentId === undefined ? undefined : found.blobs.get(pageOfBlobId(parentId));
    if (parentId !== undefined && !(isFound(parentId) && parent?.mayHaveClones)) {
      const how = isFound(parentId) ? 'which can be written' : 'which is not there';
      found.setDamaged(page, `it is a clone of blob ${parentId}, ${how}`);
      found.hidesParents = true;
    } else if (parent && goes(found, parent)) {
      found.setDamaged(
        parent.page,
        `it is a snapshot that was being made or deleted, and blob ${blobIdOfPage(page)} is its clone`,
      );
    }
    if (otherId !== undefined && !isFound(otherId)) {
      found.setDamaged(page, `it is a snapshot that was being made or deleted, of blob ${otherId}, which is not there`);
    }
    found.reserveIdOf(parentId);
    found.reserveIdOf(otherId);
  }
  const done = new Set<MdPage>();
  for (const start of found.blobs.keys()) {
    const line = new Set<MdPage>();
    let at = found.blobs.get(start);
    while (at && !done.has(at.page) && !line.has(at.page)) {
      line.add(at.page);
      at = at.parentId === undefined ? undefined : found.blobs.get(pageOfBlobId(at.parentId));
    }
    if (at && line.has(at.page)) {
      found.setDamaged(at.page, 'its parents form a cycle');
      found.hidesParents = true;
    }
    for (const page of line) done.add(page);
  }
}

/**
 * True for a snapshot that was being created or deleted, and that is removed when the store is opened, because the
 * other blob does not need it.
 */
function goes(found: SurveyFindings, { page, otherId }: FoundBlob): boolean {
  const other = otherId === undefined ? undefined : found.blobs.get(pageOfBlobId(otherId));
  if (!other || otherId !== blobIdOfPage(other.page) || other.isUnavailable || found.damaged.has(other.page))
    return false;
  return other.parentId !== blobIdOfPage(page);
}

/** Marks as damaged what cannot be used without a damaged blob. */
function spreadDamage(found: SurveyFindings): void {
  const dependants = new Map<MdPage, FoundBlob[]>();
  const note = (id: BlobId | undefined, blob: FoundBlob) => {
    if (id === undefined) return;
    const page = pageOfBlobId(id);
    const known = dependants.get(page);
    if (known) known.push(blob);
    else dependants.set(page, [blob]);
  };
  for (const blob of found.blobs.values()) {
    note(blob.parentId, blob);
    note(blob.otherId, blob);
  }
  const queue = [...found.damaged.keys()];
  for (let page = queue.pop(); page !== undefined; page = queue.pop()) {
    for (const blob of dependants.get(page) ?? []) {
      if (found.damaged.has(blob.page)) continue;
      const isClone = blob.parentId !== undefined && pageOfBlobId(blob.parentId) === page;
      const what = isClone ? 'it is a clone of' : 'it is a snapshot that was being made or deleted, of';
      found.setDamaged(blob.page, `${what} blob ${blobIdOfPage(page)}, which is damaged`);
      queue.push(blob.page);
    }
  }
  for (const { page, parentId } of found.blobs.values()) {
    if (parentId !== undefined && found.damaged.has(page)) {
      found.lostClones.push({ id: blobIdOfPage(page), parentId });
    }
  }
}
