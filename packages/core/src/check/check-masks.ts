/** Compares the masks of a store that was closed with what its blobs have. */

import type { DeviceChannel } from '../device/block-device.js';
import { decodeMask, MASK, type MaskType, maskBitsMax } from '../format/mask.js';
import type { PageRange, SuperBlock } from '../format/super-block.js';
import { BitArray } from '../shared/bit-array.js';
import { readMaskPages } from '../state/masks.js';
import type { Steps } from '../steps/steps.js';
import type { Geometry } from '../units/geometry.js';
import { blobIdOfPage, type MdPage, NONE_U32 } from '../units/units.js';
import { type FindingKind, type Findings, rangeText } from './report.js';

/** What the masks should contain. */
export interface Truth {
  readonly pages: BitArray;
  /** Includes the clusters of the store's own metadata. */
  readonly clusters: BitArray;
  /** The roots of blobs. */
  readonly roots: BitArray;
  /** Pages of sound blobs: no other blob can have its root there. */
  readonly soundPages: BitArray;
  /** True when everything that says what blobs have could be read. Then whatever else is marked has leaked. */
  readonly isComplete: boolean;
}

/** How many findings of one kind a report lists one by one; of the rest it gives only the number. */
const LISTED_MAX = 100;

/** The masks of a store that was closed; undefined for one that cannot be read. */
export interface FoundMasks {
  readonly pages: BitArray | undefined;
  readonly clusters: BitArray | undefined;
  readonly blobIds: BitArray | undefined;
}

export function* readFoundMasks(
  channel: DeviceChannel,
  geometry: Geometry,
  block: SuperBlock,
  clusterCount: number,
  findings: Findings,
): Steps<FoundMasks> {
  const { mdPageCount } = geometry;
  const read = (type: MaskType, range: PageRange, bitCount: number) =>
    readMask(channel, geometry, { type, range, bitCount }, findings);
  const pages = yield* read(MASK.USED_PAGES, block.pageMask, mdPageCount);
  const clusters = yield* read(MASK.USED_CLUSTERS, block.clusterMask, clusterCount);
  const blobIds = yield* read(MASK.USED_BLOB_IDS, block.blobIdMask, mdPageCount);
  return { pages, clusters, blobIds };
}

export function compareMasks({ pages, clusters, blobIds }: FoundMasks, truth: Truth, findings: Findings): void {
  if (pages) compare('metadata page', 'page', pages, truth.pages, truth.isComplete, findings);
  if (clusters) compare('cluster', 'cluster', clusters, truth.clusters, truth.isComplete, findings);
  if (!blobIds) return;
  compareIds(blobIds, truth.roots, findings);
  findLost(blobIds, truth, pages?.includes(blobIds) === true, findings);
}

/** Findings that make masks untrustworthy. */
const DISTRUST: readonly FindingKind[] = ['mask', 'not-reserved', 'unlisted-blob'];

const NAMES = ['used pages', 'used clusters', 'blob ids'];

interface MaskPlace {
  readonly type: MaskType;
  readonly range: PageRange;
  readonly bitCount: number;
}

/**
 * Reads a mask; undefined, with a finding, when it is damaged. The mask of clusters may be longer than the store: a
 * grow leaves that when it is interrupted.
 */
function* readMask(
  channel: DeviceChannel,
  geometry: Geometry,
  { type, range, bitCount }: MaskPlace,
  findings: Findings,
): Steps<BitArray | undefined> {
  const mask = decodeMask(yield* readMaskPages(channel, geometry, range, bitCount));
  const lengthFits = type === MASK.USED_CLUSTERS ? mask.bitCount >= bitCount : mask.bitCount === bitCount;
  if (mask.type !== type || !lengthFits || mask.bitCount > maskBitsMax(range.count)) {
    const found = `type ${mask.type} and ${mask.bitCount} bits where type ${type} and ${bitCount} bits should be`;
    findings.damage('mask', `the mask of ${NAMES[type]} is damaged: it has ${found}`);
    return undefined;
  }
  const bits = BitArray.private(bitCount);
  bits.loadMask(mask.bits);
  return bits;
}

function compare(
  what: string,
  place: 'page' | 'cluster',
  marked: BitArray,
  used: BitArray,
  isComplete: boolean,
  findings: Findings,
): void {
  const open = differences(used, marked);
  for (const [first, end] of open.listed) {
    const message = `the mask says that ${rangeText(what, first, end)} can be allocated, but they belong to a blob or to the store`;
    findings.damage('not-reserved', message, { [place]: first });
  }
  if (open.more > 0) findings.damage('not-reserved', `the mask says the same of ${open.more} more ranges of ${what}s`);
  const leaked = differences(marked, used);
  const why = isComplete ? 'nobody has them' : 'no blob that can be read has them; a damaged one may';
  for (const [first, end] of leaked.listed) {
    const message = `${rangeText(what, first, end)} marked as used, and ${why}`;
    if (isComplete) findings.damage('leak', message, { [place]: first });
    else findings.note('leak', message, { [place]: first });
  }
  if (leaked.more > 0) findings.damage('leak', `the same holds for ${leaked.more} more ranges of ${what}s`);
}

function compareIds(listed: BitArray, roots: BitArray, findings: Findings): void {
  for (let page = roots.findFirstSet(0); page !== NONE_U32; page = roots.findFirstSet(page + 1)) {
    if (listed.get(page)) continue;
    const blobId = blobIdOfPage(page as MdPage);
    findings.damage('unlisted-blob', `blob ${blobId} is there, but the mask of blob ids does not list it`, {
      blobId,
      page,
    });
  }
}

/**
 * Finds blobs that the mask of ids lists, and whose roots are missing. Masks that call free what is in use are not
 * trusted here: then the mask is taken to be wrong, and no blob to be lost.
 */
function findLost(listed: BitArray, { roots, soundPages }: Truth, pagesAgree: boolean, findings: Findings): void {
  const areBelieved = pagesAgree && !findings.list.some(({ kind }) => DISTRUST.includes(kind));
  for (let page = listed.findFirstSet(0); page !== NONE_U32; page = listed.findFirstSet(page + 1)) {
    if (roots.get(page)) continue;
    const blobId = blobIdOfPage(page as MdPage);
    const message = `the mask of blob ids lists blob ${blobId}, whose root should be on metadata page ${page} and is not`;
    findings.damage(areBelieved && !soundPages.get(page) ? 'lost-blob' : 'mask', message, { blobId, page });
  }
}

/** Returns the ranges of bits that are set in one array and not in the other. */
function differences(set: BitArray, unset: BitArray): { listed: [number, number][]; more: number } {
  const listed: [number, number][] = [];
  let more = 0;
  for (let at = set.findFirstSet(0); at !== NONE_U32; at = set.findFirstSet(at)) {
    if (unset.get(at)) {
      at++;
      continue;
    }
    const first = at;
    while (set.get(at) && !unset.get(at)) at++;
    if (listed.length < LISTED_MAX) listed.push([first, at]);
    else more++;
  }
  return { listed, more };
}
