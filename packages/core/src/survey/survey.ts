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

import { RegionReader } from '../state/region-reader.js';
import type { StoreState } from '../state/store-state.js';
import type { Steps } from '../steps/steps.js';
import { SurveyFindings } from './findings.js';
import { PageSurvey } from './page-survey.js';
import { surveyRelations } from './relations.js';
import { conclude, type Evidence, type Survey } from './verdict.js';

export function* surveyStore(store: StoreState, evidence: Evidence): Steps<Survey> {
  const region = new RegionReader(store.deviceChannel, store.geometry);
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
  }
}
