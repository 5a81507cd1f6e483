/**
 * Strays: roots that the masks of a cleanly unloaded store do not know. Such a root belongs to a deleted blob, when the
 * write that zeroed it never reached the medium; or it is a copy of a root in another place. Opening a store with
 * correct masks does not read these pages. So a survey does not list them either: what a stray names may belong to
 * another blob by now.
 *
 * This holds as long as the masks are trusted. A store that is in use on disk is recovered without masks, and then such
 * a page cannot be told from a blob's. So it is zeroed before the store is marked as in use.
 */

import { BitArray } from '../shared/bit-array.js';
import type { Masks } from '../state/masks.js';
import type { Steps } from '../steps/steps.js';
import { type BlobId, type MdPage, pageOfBlobId } from '../units/units.js';
import type { ClaimSink, Claims } from './claims.js';

/** True for a page that neither mask knows: a root there belongs to no blob, if the masks are right. */
export function isUnknown({ pages, blobIds }: Pick<Masks, 'pages' | 'blobIds'>, page: number): boolean {
  return !pages.get(page) && !blobIds.get(page);
}

/** What is known about the blobs that the masks know. */
export interface KnownBlobs {
  /** The pages and clusters of those that can be read. */
  readonly owners: Pick<Masks, 'pages' | 'clusters'>;
  readonly blobs: Iterable<{ page: MdPage; parentId: BlobId | undefined; otherId: BlobId | undefined }>;
  /** The roots of those that cannot be read, or not completely. */
  readonly unreadable: readonly MdPage[];
}

/** Reads what the blob with this root names, and which blob it is a clone of. */
type ReadClaims = (root: MdPage, sink: ClaimSink) => Steps<Claims>;

/**
 * True when roots on pages that the masks do not know are strays: no other blob needs them; and whatever they name is
 * not marked, unless another blob has it or names it. Otherwise the masks have lost blobs, and are not trusted about
 * the rest either.
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

/** What the other blobs have or name, and the first pages of the snapshots that they, or their marks, name. */
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
