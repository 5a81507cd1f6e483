/**
 * Roots that the masks of a cleanly unloaded store do not know: of a blob that was deleted, when the write that zeroed its root
 * never came to the medium, or copies of a root in another place. Opening a store that its masks describe rightly does not even
 * look at them. So neither does a survey list them, and nobody's data becomes another blob's because somebody looked closely.
 *
 * It is so as long as the masks are believed. What is in use on the disk is recovered without masks, and then nobody could tell
 * such a page from a blob's: it is zeroed before the store is marked as in use.
 */

import { BitArray } from '../shared/bit-array.js';
import type { Masks } from '../state/masks.js';
import type { Steps } from '../steps/steps.js';
import { type BlobId, type MdPage, pageOfBlobId } from '../units/units.js';
import type { ClaimSink, Claims } from './claims.js';

/** True for a page that neither mask knows: a root there is of no blob, if the masks are right. */
export function isUnknown({ pages, blobIds }: Pick<Masks, 'pages' | 'blobIds'>, page: number): boolean {
  return !pages.get(page) && !blobIds.get(page);
}

/** What is known of the blobs that the masks do know. */
export interface KnownBlobs {
  /** What those have that can be read. */
  readonly owners: Pick<Masks, 'pages' | 'clusters'>;
  readonly blobs: Iterable<{ page: MdPage; parentId: BlobId | undefined; otherId: BlobId | undefined }>;
  /** Roots of those that cannot be read, or not whole. */
  readonly unreadable: readonly MdPage[];
}

/** Reads what the blob that begins on a page says that it has, and is a clone of. */
type ReadClaims = (root: MdPage, sink: ClaimSink) => Steps<Claims>;

/**
 * True when roots on pages that the masks do not know are nobody's: no other blob needs them, and nothing that they name is marked
 * but what another one has, or says that it has. Otherwise the masks have forgotten them, and are not to be believed about the rest
 * either.
 */
export function* areStrays(
  roots: readonly MdPage[],
  masks: Masks,
  known: KnownBlobs,
  readClaims: ReadClaims,
): Steps<boolean> {
  const { needed, pages, clusters } = yield* findNeeded(masks, known, readClaims);
  let isMarked = false;
  const sink: ClaimSink = {
    page: (page) => {
      isMarked ||= masks.pages.get(page) && !pages.get(page);
    },
    clusters: (first, count) => {
      for (let at = first; at < first + count; at++) isMarked ||= masks.clusters.get(at) && !clusters.get(at);
    },
  };
  for (const root of roots) {
    if (needed.has(root)) return false;
    yield* readClaims(root, sink);
    if (isMarked) return false;
    yield undefined;
  }
  return true;
}

/** What the other blobs have, or say that they have; and where the snapshots begin that they, or their marks, name. */
interface Needed extends Pick<Masks, 'pages' | 'clusters'> {
  readonly needed: ReadonlySet<MdPage>;
}

function* findNeeded(masks: Masks, known: KnownBlobs, readClaims: ReadClaims): Steps<Needed> {
  const needed = new Set<MdPage>();
  for (const { parentId, otherId } of known.blobs) {
    for (const id of [parentId, otherId]) if (id !== undefined) needed.add(pageOfBlobId(id));
  }
  const pages = BitArray.private(masks.pages.capacity);
  const clusters = BitArray.private(masks.clusters.capacity);
  pages.add(known.owners.pages);
  clusters.add(known.owners.clusters);
  const sink: ClaimSink = {
    page: (page) => pages.set(page),
    clusters: (first, count) => {
      for (let at = first; at < first + count; at++) clusters.set(at);
    },
  };
  for (const root of known.unreadable) {
    const { parentId } = yield* readClaims(root, sink);
    if (parentId !== undefined) needed.add(pageOfBlobId(parentId));
  }
  return { needed, pages, clusters };
}
