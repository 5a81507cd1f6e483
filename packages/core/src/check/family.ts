/** Checks snapshots and clones: each parent must exist and be a snapshot, and no blob may be its own ancestor. */

import { forEachPaced } from '../steps/paced.js';
import type { Steps } from '../steps/steps.js';
import type { BlobId } from '../units/units.js';
import type { Findings } from './report.js';
import type { SurveyedBlob } from './surveyed-blob.js';

/**
 * Marks snapshots that were being created or deleted, and that the other blob does not need: opening the store removes
 * them.
 */
export function markGoing(blobs: ReadonlyMap<BlobId, SurveyedBlob>): Steps<void> {
  return forEachPaced(blobs.values(), (blob) => {
    const other = blob.counterpartId === undefined ? undefined : blobs.get(blob.counterpartId);
    if (blob.isDamaged || blob.isNewer || !other || other.isDamaged || other.isNewer) return;
    blob.goes = other.parentId !== blob.id;
  });
}

export function* checkFamilies(blobs: ReadonlyMap<BlobId, SurveyedBlob>, findings: Findings): Steps<void> {
  yield* forEachPaced(blobs.values(), (blob) => {
    checkParent(blob, blobs, findings);
    checkUnderWay(blob, blobs, findings);
  });
  yield* markCycles(blobs, findings);
  yield* markClonesOfDamaged(blobs, findings);
}

function checkParent(blob: SurveyedBlob, blobs: ReadonlyMap<BlobId, SurveyedBlob>, findings: Findings): void {
  const { id: blobId, parentId } = blob;
  if (parentId === undefined || blob.isNewer) return;
  const parent = blobs.get(parentId);
  if (parent === undefined) {
    blob.isDamaged = true;
    findings.damage('parent', `blob ${blobId} is a clone of snapshot ${parentId}, which is not there`, { blobId });
  } else if (!parent.isReadOnly && !parent.isNewer && parent.counterpartId === undefined) {
    findings.damage('parent', `blob ${blobId} is a clone of blob ${parentId}, which can be written`, { blobId });
  } else if (parent.goes) {
    parent.isDamaged = true;
    const what = `snapshot ${parentId} was being made or deleted, and blob ${blobId} is its clone`;
    findings.damage('parent', `${what}, which its mark does not name`, { blobId: parentId });
  }
}

function checkUnderWay(blob: SurveyedBlob, blobs: ReadonlyMap<BlobId, SurveyedBlob>, findings: Findings): void {
  const { id: blobId, counterpartId } = blob;
  if (counterpartId === undefined) return;
  const counterpart = blobs.get(counterpartId);
  if (counterpart === undefined && !blob.isNewer) {
    blob.isDamaged = true;
    const message = `snapshot ${blobId} was being made or deleted, and blob ${counterpartId}, which its mark names, is not there`;
    findings.damage('parent', message, { blobId });
    return;
  }
  const isClone = counterpart?.parentId === blobId;
  const what = blob.isPendingRemoval ? 'being deleted' : `being made of blob ${counterpartId}`;
  const fate = isClone ? 'it stays, because the blob reads through to it' : 'it is removed, because no blob needs it';
  findings.note('interrupted', `snapshot ${blobId} was ${what}; opening the store settles that: ${fate}`, { blobId });
}

/**
 * Follows the parents from each blob. If the walk comes back to one of its own blobs, the blob where it started is in a
 * cycle, or reads from one.
 */
function markCycles(blobs: ReadonlyMap<BlobId, SurveyedBlob>, findings: Findings): Steps<void> {
  const walkOf = new Map<SurveyedBlob, SurveyedBlob>();
  return forEachPaced(blobs.values(), (start) => {
    let at: SurveyedBlob | undefined = start;
    while (at !== undefined && !walkOf.has(at)) {
      walkOf.set(at, start);
      at = at.isNewer ? undefined : parentOf(at, blobs); // a newer version may record its parent in another way
    }
    if (at === undefined || walkOf.get(at) !== start) return;
    at.isDamaged = true;
    findings.damage('parent', `blob ${at.id} is damaged: its parents form a cycle`, { blobId: at.id });
  });
}

/** Reports clones whose snapshot cannot be opened: they cannot be opened either. */
function markClonesOfDamaged(blobs: ReadonlyMap<BlobId, SurveyedBlob>, findings: Findings): Steps<void> {
  const isSound = new Map<SurveyedBlob, boolean>();
  return forEachPaced(blobs.values(), (start) => {
    const walk = new Set<SurveyedBlob>();
    let at: SurveyedBlob | undefined = start;
    while (at !== undefined && !isSound.has(at) && !at.isDamaged && !walk.has(at)) {
      walk.add(at);
      at = parentOf(at, blobs);
    }
    const sound = at === undefined || (isSound.get(at) ?? !at.isDamaged);
    for (const blob of walk) isSound.set(blob, sound);
    if (sound || at === undefined) return;
    for (const { id } of walk) {
      findings.damage('parent', `blob ${id} cannot be read: blob ${at.id} behind it is damaged`, { blobId: id });
    }
  });
}

function parentOf(blob: SurveyedBlob, blobs: ReadonlyMap<BlobId, SurveyedBlob>): SurveyedBlob | undefined {
  return blob.parentId === undefined ? undefined : blobs.get(blob.parentId);
}
