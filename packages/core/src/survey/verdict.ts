/** The end of a survey: what is damaged, and what must not be handed out. */

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
  // Whoever names a stray names no page of his own; and what believable masks call free stays free, whatever is damaged.
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
  };
}

/** What half deleted blobs have and nobody else, which is marked as used. */
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
 * Clusters up to the last one that is marked, but for those that damaged blobs name. These are reserved in any case, and so
 * marked from then on: nonsense that names the last cluster must not reserve all that is free when the store is next opened.
 */
function lengthUsed(found: SurveyFindings, marked: BitArray): number {
  let end = marked.lengthUsed();
  while (end > 0 && (!marked.get(end - 1) || found.claimed.clusters.get(end - 1))) end--;
  return end;
}

/** The clusters below this one stay reserved, whoever has them. What blobs name is reserved in any case. */
function reservedEnd(found: SurveyFindings, { masks, highWater }: Evidence): number {
  const { pages, clusters } = found.owners;
  if (!found.isDoubtful) return 0;
  if (masks) {
    // Masks that call free what a sound blob has are not to be believed elsewhere either.
    const areBelieved = masks.pages.includes(pages) && masks.clusters.includes(clusters);
    if (areBelieved) return found.hidesClusters ? lengthUsed(found, masks.clusters) : 0;
  } else if (highWater !== undefined && highWater >= clusters.lengthUsed()) {
    return highWater; // even where all is known: what a crash left in free clusters is not cleared now, and must not be read
  }
  return found.hidesClusters ? found.clusterCount : 0;
}

/** Damage, with what it means for the store. */
function told(damage: DamagedBlob, isFull: boolean): DamagedBlob {
  if (!isFull) return damage;
  const { code, message } = damage.error;
  const means = 'any cluster may be its own, so that the store has no free space as long as it is damaged';
  return { ...damage, error: new BlobstoreError(code, `${message}; ${means}`, { cause: damage.error }) };
}
