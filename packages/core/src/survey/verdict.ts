/** The last part of a survey: what is damaged, and what must not be allocated. */

import { BitArray } from '../shared/bit-array.js';
import type { DamagedBlob } from '../state/damage.js';
import type { Masks } from '../state/masks.js';
import type { RegionReader } from '../state/region-reader.js';
import type { SharedByBlobs, StoreState } from '../state/store-state.js';
import type { Steps } from '../steps/steps.js';
import { BlobstoreError } from '../units/error.js';
import type { BlobId, MdPage } from '../units/units.js';
import type { SurveyFindings } from './findings.js';
import { type KilledDelete, readKilledDelete } from './killed-delete.js';

/** The result of a survey. The bits in `pages` and `clusters` are what must not be allocated. */
export interface Survey extends Masks {
  /** In ascending order of their pages. */
  damaged: DamagedBlob[];
  /** Pages and clusters that more than one blob names. */
  shared: SharedByBlobs;
  /** Blobs that are set aside or unavailable, and the snapshots that they name as their parents. */
  lostClones: { id: BlobId; parentId: BlobId }[];
  /** True when a damaged or missing blob may be a clone of a snapshot that `lostClones` does not name for it. */
  hidesParents: boolean;
  /**
   * True when something is damaged, or cannot be read by this version: what seems to be free must not be cleared then.
   */
  isDoubtful: boolean;
  /** First pages of lost blobs that other blobs name. */
  lostPages: ReadonlySet<MdPage>;
  /**
   * Free pages that have to be zeroed before the store is marked as in use: otherwise a recovery would take them for
   * blobs, or for damage.
   */
  noise: readonly MdPage[];
  /** Deletions that have to be finished. */
  killedDeletes: readonly KilledDelete[];
  /** The end of the metadata pages that are not zeroes. */
  contentEnd: number;
}

/** What is known about a store from elsewhere. */
export interface Evidence {
  /** The masks of a cleanly unloaded store; undefined otherwise. */
  masks: Masks | undefined;
  /** No cluster at or above this one was in use; undefined when that is not known. */
  highWater: number | undefined;
  /** No metadata page at or above this one was in use; undefined when that is not known. */
  mdPageMark: number | undefined;
}

export function* conclude(
  store: StoreState,
  region: RegionReader,
  found: SurveyFindings,
  evidence: Evidence,
): Steps<Survey> {
  const { pages, clusters, shared } = found.owners;
  const { masks } = evidence;
  const end = reservedEnd(found, evidence);
  const blobIds = BitArray.private(found.pageCount);
  for (const page of [...found.blobs.keys(), ...found.damaged.keys()]) blobIds.set(page);
  clusters.setBelow(Math.max(end, store.geometry.metadataClusterCount()));
  for (const page of found.lostPages) pages.set(page);
  pages.add(found.claimed.pages);
  clusters.add(found.claimed.clusters);
  if (found.isDoubtful) {
    pages.add(found.notZero);
    if (masks) {
      pages.add(masks.pages);
      clusters.add(masks.clusters);
    }
  }
  // A blob that names a stray does not have that page. What trusted masks call free stays free, whatever is damaged.
  for (const page of [...found.strays, ...found.freeNoise]) if (!found.lostPages.has(page)) pages.clear(page);
  const killedDeletes = yield* readKilledDeletes(store, region, found, pages, clusters);
  const isFull = end === found.clusterCount;
  const damaged = [...found.damaged.values()].sort((a, b) => a.page - b.page).map((each) => told(each, isFull));
  return {
    pages,
    clusters,
    blobIds,
    damaged,
    shared,
    lostClones: found.lostClones,
    hidesParents: found.hidesParents,
    isDoubtful: found.isDoubtful,
    lostPages: found.lostPages,
    noise: found.isDoubtful ? found.strays : [...found.strays, ...found.freeNoise],
    killedDeletes,
    contentEnd: region.contentEnd,
  };
}

/** Reads what only half-deleted blobs have, and marks it as used. */
function* readKilledDeletes(
  store: StoreState,
  region: RegionReader,
  found: SurveyFindings,
  pages: BitArray,
  clusters: BitArray,
): Steps<KilledDelete[]> {
  const killed: KilledDelete[] = [];
  for (const page of found.halfDeleted.keys()) {
    const rest = yield* readKilledDelete(region, store.geometry, found.clusterCount, page, {
      page: (named) => !pages.get(named),
      cluster: (named) => !clusters.get(named),
    });
    for (const named of [page, ...rest.pages]) pages.set(named);
    for (const named of rest.clusters) clusters.set(named);
    killed.push(rest);
  }
  return killed;
}

/**
 * Returns the number of clusters up to the last marked one, without those at the end that damaged blobs name. Damaged
 * blobs keep what they name in any case, and it is marked from then on. So garbage that names the last cluster must not
 * reserve all free space when the store is opened next.
 */
function lengthUsed(found: SurveyFindings, marked: BitArray): number {
  let end = marked.lengthUsed();
  while (end > 0 && (!marked.get(end - 1) || found.claimed.clusters.get(end - 1))) end--;
  return end;
}

/**
 * Returns the end of the clusters that stay reserved, whichever blob has them. What blobs name is reserved in any case.
 */
function reservedEnd(found: SurveyFindings, { masks, highWater }: Evidence): number {
  const { pages, clusters } = found.owners;
  if (!found.isDoubtful) return 0;
  if (masks) {
    // Masks that call free what a sound blob has are not trusted elsewhere either.
    const areBelieved = masks.pages.includes(pages) && masks.clusters.includes(clusters);
    if (areBelieved) return found.hidesClusters ? lengthUsed(found, masks.clusters) : 0;
  } else if (highWater !== undefined && highWater >= clusters.lengthUsed()) {
    return highWater; // even if everything is known: free clusters below it may hold old data, and are not cleared now
  }
  return found.hidesClusters ? found.clusterCount : 0;
}

/** Adds to the message of damage what it means for the store. */
function told(damage: DamagedBlob, isFull: boolean): DamagedBlob {
  if (!isFull) return damage;
  const { code, message } = damage.error;
  const means = 'any cluster may belong to it, so that the store has no free space until the damage is repaired';
  return { ...damage, error: new BlobstoreError(code, `${message}; ${means}`, { cause: damage.error }) };
}
