/** Records which pages and clusters blobs have, and which are named more than once. */

import type { Blob } from '../blob/blob.js';
import { BitArray } from '../shared/bit-array.js';
import type { SharedByBlobs } from '../state/store-state.js';
import { type BlobId, blobIdOfPage, type MdPage } from '../units/units.js';

export class Owners {
  readonly pages: BitArray;
  readonly clusters: BitArray;
  /** What is named more than once: by two blobs, or by one blob twice. */
  readonly shared: SharedByBlobs;
  /** The part of it that is named by a blob which cannot be read completely. */
  readonly contested: SharedByBlobs;
  pageCount = 0;
  clusterCount = 0;
  hasShared = false;

  constructor(pageCount: number, clusterCount: number) {
    const empty = () => ({ pages: BitArray.private(pageCount), clusters: BitArray.private(clusterCount) });
    this.pages = BitArray.private(pageCount);
    this.clusters = BitArray.private(clusterCount);
    this.shared = empty();
    this.contested = empty();
  }

  /** Records what a blob has. */
  add(blob: Blob): void {
    forEachPage(blob, (page) => {
      this.pageCount++;
      if (this.pages.get(page)) this.#share(this.shared.pages, page);
      this.pages.set(page);
    });
    blob.map.clusters.forEachSet((cluster) => this.#addCluster(cluster));
    for (const cluster of blob.map.dropped) this.#addCluster(cluster); // the map on disk still has it
  }

  /** Records that a page is named by a blob that cannot be read completely. */
  contestPage(page: MdPage): void {
    if (!this.pages.get(page)) return;
    this.#share(this.shared.pages, page);
    this.contested.pages.set(page);
  }

  contestClusters(first: number, count: number): void {
    for (let cluster = first; cluster < first + count; cluster++) {
      if (!this.clusters.get(cluster)) continue;
      this.#share(this.shared.clusters, cluster);
      this.contested.clusters.set(cluster);
    }
  }

  #addCluster(cluster: number): void {
    this.clusterCount++;
    if (this.clusters.get(cluster)) this.#share(this.shared.clusters, cluster);
    this.clusters.set(cluster);
  }

  #share(shared: BitArray, index: number): void {
    shared.set(index);
    this.hasShared = true;
  }
}

/** Visits the pages of a blob's chain, and its extent pages. */
function forEachPage(blob: Blob, visit: (page: MdPage) => void): void {
  blob.chain.forEach(visit);
  blob.map.extentPages.forEachSet((page) => visit(page as MdPage));
}

/** What is known about a blob that names something which is named more than once. */
export interface Sharer {
  page: MdPage;
  /** For a snapshot that was being created or deleted: the other blob, which its mark names. */
  otherId: BlobId | undefined;
  /**
   * True when it is such a snapshot, and will be removed: then what another blob also names belongs to that other blob.
   */
  goes: boolean;
}

/** Records which blobs name what is named more than once. */
export class Sharers {
  readonly #ofPage = new Map<number, Sharer[]>();
  readonly #ofCluster = new Map<number, Sharer[]>();

  add(sharer: Sharer, blob: Blob, shared: SharedByBlobs): void {
    forEachPage(blob, (page) => {
      if (shared.pages.get(page)) note(this.#ofPage, page, sharer);
    });
    blob.map.clusters.forEachSet((cluster) => {
      if (shared.clusters.get(cluster)) note(this.#ofCluster, cluster, sharer);
    });
  }

  /** Returns the blobs that name something that they must not name, each blob once. */
  *damaged(contested: SharedByBlobs): Generator<{ page: MdPage; how: string }, void, undefined> {
    const told = new Set<MdPage>();
    const lists = [
      ['metadata page', this.#ofPage, contested.pages],
      ['cluster', this.#ofCluster, contested.clusters],
    ] as const;
    for (const [what, sharers, isContested] of lists) {
      for (const [index, list] of sharers) {
        if (!isContested.get(index) && mayShare(list)) continue;
        for (const { page } of list) {
          if (told.has(page)) continue;
          told.add(page);
          yield { page, how: `${what} ${index} is named by it and by ${describe(list, page)}` };
        }
      }
    }
  }
}

function note(sharers: Map<number, Sharer[]>, index: number, sharer: Sharer): void {
  const list = sharers.get(index);
  if (list) list.push(sharer);
  else sharers.set(index, [sharer]);
}

/**
 * True when these blobs may name the same page or cluster: at most one of them stays, or two stay of which one is a
 * snapshot that was being created or deleted, and its mark names the other.
 */
function mayShare(list: readonly Sharer[]): boolean {
  const staying = list.filter(({ goes }) => !goes);
  if (staying.length < 2) return true;
  if (staying.length > 2) return false;
  const [a, b] = staying;
  return a.page !== b.page && (a.otherId === blobIdOfPage(b.page) || b.otherId === blobIdOfPage(a.page));
}

function describe(list: readonly Sharer[], page: MdPage): string {
  const other = list.find((each) => each.page !== page);
  if (other) return `blob ${blobIdOfPage(other.page)}`;
  return list.length > 1 ? 'it again' : 'a damaged blob';
}
