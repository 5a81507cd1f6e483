/**
 * A survey checks all metadata pages below the high-water mark, or all if anything raises a doubt; it finds out what is
 * damaged and what is sound, and writes nothing. Page writes count as atomic, so every page of the region is either all
 * zeroes, or has a correct crc. Damaged are:
 *
 * - a page that is neither, unless it belongs to a blob, which is damaged then;
 * - a page with a correct crc that no writer leaves there: the first page of a blob in another blob's place, or a later
 *   page of a blob in the place of its first page;
 * - a blob that cannot be read, or names a cluster twice;
 * - both of two blobs that name the same cluster or page, since it is unknown which one is right; unless one is a
 *   snapshot that was being created or deleted, and is marked with the other's id, or will be removed;
 * - a blob that the masks of a cleanly unloaded store list, and that is missing; a root that they do not know is not a
 *   blob;
 * - a clone of a blob that is damaged, or missing, or can be written; a clone of its own clone; a clone of a snapshot
 *   that will be removed; a snapshot marked with the id of a damaged blob.
 *
 * Everything that belongs, or may belong, to what is damaged stays reserved. What a damaged blob names is not enough,
 * because it may have had more than it names now. So all clusters up to the last one that was in use stay reserved,
 * too, except those of sound blobs. The last one is known after a clean unload, and from the high-water mark. The
 * reference writes no such mark; without one any cluster may be the last one, and the store has no free space until the
 * damage is repaired.
 */

import { RegionReader } from '../state/region-reader.js';
import type { StoreState } from '../state/store-state.js';
import type { Steps } from '../steps/steps.js';
import { SurveyFindings } from './findings.js';
import { PageSurvey } from './page-survey.js';
import { surveyRelations } from './relations.js';
import { conclude, type Evidence, type Survey } from './verdict.js';

export function* surveyStore(store: StoreState, evidence: Evidence): Steps<Survey> {
  const region = new RegionReader(store.deviceChannel, store.geometry, evidence.mdPageMark);
  store.knowsUsed = false;
  store.regionReader = region;
  try {
    const found = new SurveyFindings(store);
    yield* new PageSurvey(store, region, found).run(evidence.masks);
    yield* surveyRelations(store, found, evidence.masks);
    return yield* conclude(store, region, found, evidence);
  } finally {
    store.knowsUsed = true;
    store.regionReader = undefined;
    yield* region.settle();
  }
}
