/**
 * Reads a blob's pages and reports everything that is wrong with them. It continues where a load would stop, to find as
 * much as possible of what the blob has: that must not be allocated to another blob.
 */

import { INTERNAL_XATTR } from '../blob/blob.js';
import { DESCRIPTOR, type Descriptor, descriptorsOf } from '../format/descriptor.js';
import { decodeExtentPage, type ExtentPage, isExtentPage } from '../format/extent-page.js';
import { decodeExtentRle } from '../format/extent-rle.js';
import { decodeExtentTable, type ExtentTableEntry } from '../format/extent-table.js';
import { decodeFlags, INVALID_FLAGS_KNOWN } from '../format/flags.js';
import type { MdPageView } from '../format/md-page.js';
import { decodeXattr } from '../format/xattr.js';
import type { RegionReader } from '../state/region-reader.js';
import type { Steps } from '../steps/steps.js';
import { CLUSTERS_PER_EXTENT_PAGE, divideRoundUp, type MdPage, NONE_U32 } from '../units/units.js';
import type { FindingKind, Findings } from './report.js';
import { SurveyedBlob } from './surveyed-blob.js';

/** Internal xattrs that contain the id of a blob. */
const ID_XATTRS: readonly string[] = [
  INTERNAL_XATTR.SNAPSHOT,
  INTERNAL_XATTR.SNAPSHOT_IN_PROGRESS,
  INTERNAL_XATTR.SNAPSHOT_PENDING_REMOVAL,
];

/** What surveying a number of blobs needs. */
export interface SurveyTools {
  readonly region: RegionReader;
  readonly findings: Findings;
  /** The number of clusters in the store. */
  readonly clusterCount: number;
  /** True when the store was closed: then nothing can be unfinished. */
  readonly wasClosed: boolean;
  /** How often each extent page was read: only one that an unfinished snapshot shares may be named more than once. */
  readonly extentPageReads: Map<number, number>;
}

/**
 * How often an extent page is read at most. An unfinished snapshot and its blob may both name it, and so may copies of
 * the snapshot's root. A hostile disk may name one page any number of times.
 */
const EXTENT_PAGE_READS_MAX = 4;

/** Surveys the blob whose root is on a page. */
export function* surveyBlob(tools: SurveyTools, root: MdPage): Steps<SurveyedBlob> {
  const survey = new BlobSurvey(tools, root);
  yield* survey.run();
  return survey.blob;
}

class BlobSurvey {
  readonly blob: SurveyedBlob;
  readonly #tools: SurveyTools;
  readonly #visited = new Set<number>();
  readonly #entries: ExtentTableEntry[] = [];
  #hasRuns = false;
  #hasTable = false;
  #holes = false;
  /** How many clusters its extent pages map before the first that is too short. */
  #end = Infinity;

  constructor(tools: SurveyTools, root: MdPage) {
    this.#tools = tools;
    this.blob = new SurveyedBlob(root);
  }

  *run(): Steps<void> {
    yield* this.#readChain();
    if (this.blob.isHalfDeleted) return;
    if (this.#hasTable && this.#hasRuns) this.#damage('extents', 'it has both an extent table and runs of clusters');
    if (this.#hasTable) yield* this.#readExtentPages();
    const { blob } = this;
    const mayHaveHoles = blob.isThin || blob.isPendingRemoval;
    if (this.#holes && !mayHaveHoles)
      this.#damage('extents', 'it is not thin, and has clusters that are not allocated');
    this.#checkXattrs();
  }

  *#readChain(): Steps<void> {
    const { region } = this.#tools;
    const { blob } = this;
    let number: number = blob.page;
    while (number !== NONE_U32) {
      if (number >= region.geometry.mdPageCount) {
        this.#lose('chain', `its chain goes on at page ${number}, outside the metadata region`);
        return;
      }
      if (this.#visited.has(number)) {
        this.#lose('chain', `its chain comes back to page ${number}`, number);
        return;
      }
      const page = yield* region.anywhere(number as MdPage);
      if (this.#endsInZeroes(page)) {
        blob.isHalfDeleted = true;
        return;
      }
      if (!this.#isInChain(page, number)) return;
      this.#visited.add(number);
      blob.chain.push(number as MdPage);
      this.#readDescriptors(page, number);
      number = page.next;
    }
  }

  #endsInZeroes(page: MdPageView): boolean {
    const { blob } = this;
    return page.isZero && !this.#tools.wasClosed && blob.chain.length > 0 && !blob.isDamaged && !blob.isNewer;
  }

  /**
   * True for a page of the blob's chain; also when its crc is wrong, if it has the blob's id and the right sequence
   * number.
   */
  #isInChain(page: MdPageView, number: number): boolean {
    const { blob } = this;
    const isItsOwn = page.id === blob.id && page.sequence === blob.chain.length;
    if (!page.isSealed) this.#tear('chain', `the crc of metadata page ${number} of its chain does not fit`, number);
    else if (!isItsOwn) {
      const found = `page ${page.sequence} of blob ${page.id}`;
      this.#lose('chain', `metadata page ${number} of its chain is ${found}`, number);
    }
    return isItsOwn;
  }

  #readDescriptors(page: MdPageView, number: number): void {
    for (const descriptor of descriptorsOf(page.view)) {
      const { type, fits } = descriptor;
      if (type > DESCRIPTOR.EXTENT_PAGE) {
        this.blob.extentsKnown = false;
        this.#note('descriptor', `metadata page ${number} holds a descriptor of the unknown type ${type}`);
      } else if (!fits) {
        this.#lose('descriptor', `a descriptor reaches past metadata page ${number}`, number);
      } else this.#readDescriptor(page, descriptor, number);
    }
  }

  #readDescriptor(page: MdPageView, { type, payloadAt, payloadBytes }: Descriptor, number: number): void {
    const { blob } = this;
    switch (type) {
      case DESCRIPTOR.FLAGS:
        this.#readFlags(page, payloadAt, payloadBytes, number);
        return;
      case DESCRIPTOR.XATTR:
      case DESCRIPTOR.XATTR_INTERNAL: {
        const xattr = decodeXattr(page.bytes, page.view, payloadAt, payloadBytes);
        if (!xattr) this.#damage('xattr', `the lengths of an xattr on metadata page ${number} do not add up`, number);
        else (type === DESCRIPTOR.XATTR ? blob.xattrs : blob.internalXattrs).push(xattr);
        return;
      }
      case DESCRIPTOR.EXTENT_RLE:
        this.#readRuns(page, payloadAt, payloadBytes, number);
        return;
      case DESCRIPTOR.EXTENT_TABLE:
        this.#readTable(page, payloadAt, payloadBytes, number);
        return;
      default:
        this.#lose('descriptor', `an extent page stands in its chain, on metadata page ${number}`, number);
    }
  }

  #readFlags(page: MdPageView, payloadAt: number, payloadBytes: number, number: number): void {
    const flags = decodeFlags(page.view, payloadAt, payloadBytes);
    if (!flags) {
      this.#damage('flags', `its flags on metadata page ${number} have the wrong length`, number);
      return;
    }
    this.blob.flags = flags;
    if (!this.blob.isNewer) return;
    this.blob.extentsKnown = false;
    const unknown = (flags.invalid & ~INVALID_FLAGS_KNOWN).toString(16);
    this.#note('flags', `it has flags 0x${unknown} of a newer version, and cannot be opened`);
  }

  #readRuns(page: MdPageView, payloadAt: number, payloadBytes: number, number: number): void {
    this.#hasRuns = true;
    const runs = decodeExtentRle(page.view, payloadAt, payloadBytes);
    if (!runs) {
      this.#lose('extents', `the runs of clusters on metadata page ${number} are malformed`, number);
      return;
    }
    const total = runs.reduce((sum, run) => sum + run.length, this.blob.clusterCount);
    if (total === 0) this.#damage('extents', `the runs of clusters on metadata page ${number} are empty`, number);
    for (const { first, length } of runs) {
      if (first === 0) this.#holes = true;
      else this.#addRun(first, first + length, number);
    }
    this.blob.clusterCount = total;
  }

  #readTable(page: MdPageView, payloadAt: number, payloadBytes: number, number: number): void {
    const table = decodeExtentTable(page.view, payloadAt, payloadBytes);
    if (!table) {
      this.#lose('extents', `the extent table on metadata page ${number} is malformed`, number);
      return;
    }
    if (this.#hasTable && this.blob.clusterCount !== table.clusterCount) {
      this.#damage('extents', 'the parts of its extent table disagree about its size', number);
    }
    this.#hasTable = true;
    this.blob.clusterCount = table.clusterCount;
    for (const entry of table.entries) this.#entries.push(entry);
  }

  *#readExtentPages(): Steps<void> {
    const { clusterCount } = this.blob;
    let index = 0;
    for (const { page, count } of this.#entries) {
      if (page === 0) this.#holes = true;
      else yield* this.#readExtentPage(page, index);
      index += count;
    }
    if (index !== divideRoundUp(clusterCount, CLUSTERS_PER_EXTENT_PAGE)) {
      this.#damage('extents', `its extent table has ${index} entries for ${clusterCount} clusters`);
    }
    if (this.#end >= clusterCount) return;
    this.#note(
      'interrupted',
      `it was being made smaller, from ${clusterCount} to ${this.#end} clusters; opening the store ends that`,
    );
    this.blob.clusterCount = this.#end;
  }

  *#readExtentPage(number: MdPage, index: number): Steps<void> {
    const { region, extentPageReads } = this.#tools;
    if (number >= region.geometry.mdPageCount) {
      return this.#lose('extents', `its extent table names page ${number}, outside the metadata region`);
    }
    if (this.#visited.has(number)) {
      return this.#lose('extents', `its extent table names page ${number}, which it has already`, number);
    }
    this.#visited.add(number);
    this.blob.extentPages.push(number);
    const reads = extentPageReads.get(number) ?? 0;
    if (reads >= EXTENT_PAGE_READS_MAX) return; // it is reported as shared in any case
    extentPageReads.set(number, reads + 1);
    const page = yield* region.anywhere(number);
    const extent = this.#decodeExtents(page, number, index);
    if (extent) this.#addExtents(extent, index, number);
  }

  #decodeExtents(page: MdPageView, number: MdPage, index: number): ExtentPage | undefined {
    if (!page.isSealed) {
      this.#tear('extents', `metadata page ${number}, which maps clusters of it, does not fit its crc`, number);
      return undefined;
    }
    if (!isExtentPage(page)) {
      this.#lose('extents', `metadata page ${number}, which maps clusters of it, is no extent page`, number);
      return undefined;
    }
    if (page.next !== NONE_U32)
      this.#damage('extents', `its extent page ${number} is followed by another page`, number);
    const [descriptor] = descriptorsOf(page.view);
    const extent = decodeExtentPage(page.view, descriptor.payloadAt, descriptor.payloadBytes);
    if (extent?.startCluster === index * CLUSTERS_PER_EXTENT_PAGE) return extent;
    this.#lose('extents', `its extent page ${number} does not map the clusters that it should`, number);
    return extent;
  }

  /**
   * Adds the clusters of an extent page. Entries past the blob's end, which a larger size wrote and never synced, are
   * ignored. Missing entries are unallocated; but in a store that was not closed they end the blob.
   */
  #addExtents(extent: ExtentPage, index: number, number: number): void {
    const expected = Math.min(CLUSTERS_PER_EXTENT_PAGE, this.blob.clusterCount - index * CLUSTERS_PER_EXTENT_PAGE);
    const isShort = extent.clusterCount < expected;
    if (isShort && this.#tools.wasClosed) this.#holes = true;
    else if (isShort) this.#end = Math.min(this.#end, index * CLUSTERS_PER_EXTENT_PAGE + extent.clusterCount);
    for (let at = 0; at < Math.min(expected, extent.clusterCount); ) {
      const first = extent.clusterAt(at);
      let length = 1;
      if (first === 0) this.#holes = true;
      else while (at + length < extent.clusterCount && extent.clusterAt(at + length) === first + length) length++;
      length = Math.min(length, expected - at);
      if (first !== 0) this.#addRun(first, first + length, number);
      at += length;
    }
  }

  #addRun(first: number, end: number, number: number): void {
    const { region, clusterCount } = this.#tools;
    const least = region.geometry.metadataClusterCount();
    if (first < least || end > clusterCount) {
      const range = `${end - first} clusters from ${first} on`;
      const where = `data lies in clusters ${least} to ${clusterCount - 1}`;
      this.#damage('extents', `it names ${range} (metadata page ${number}), and ${where}`, number);
    }
    const run = { first: Math.max(first, least), end: Math.min(end, clusterCount) };
    if (run.first < run.end) this.blob.runs.push(run);
  }

  #checkXattrs(): void {
    const { blob } = this;
    for (const list of [blob.xattrs, blob.internalXattrs]) {
      const names = new Set<string>();
      for (const { name } of list) {
        if (names.has(name)) this.#note('xattr', `xattr '${name}' is there twice; the first one counts`);
        names.add(name);
      }
    }
    for (const { name, value } of blob.internalXattrs) {
      if (!ID_XATTRS.includes(name) || value.length === 8) continue;
      this.#damage('xattr', `its internal xattr ${name} has ${value.length} bytes, and a blob id has 8`);
    }
    if (blob.isExternalClone && blob.internalXattr(INTERNAL_XATTR.EXTERNAL_SNAPSHOT) === undefined) {
      this.#damage('parent', 'it is a clone of an external snapshot, whose id is missing');
    }
  }

  /** Reports damage, and that the blob may have clusters that are not known because of it. */
  #lose(kind: FindingKind, how: string, page?: number): void {
    this.blob.extentsKnown = false;
    this.#damage(kind, how, page);
  }

  /** Reports damage, except for a blob of a newer version, where it may be correct. */
  #damage(kind: FindingKind, how: string, page?: number): void {
    if (!this.blob.isNewer) this.#report(kind, how, page);
  }

  /** Reports a page with a wrong crc, also for a blob of a newer version. */
  #tear(kind: FindingKind, how: string, page: number): void {
    this.blob.extentsKnown = false;
    this.#report(kind, how, page);
  }

  #report(kind: FindingKind, how: string, page?: number): void {
    this.blob.isDamaged = true;
    const { id } = this.blob;
    this.#tools.findings.damage(kind, `blob ${id} is damaged: ${how}`, { blobId: id, page });
  }

  #note(kind: FindingKind, how: string): void {
    const { id } = this.blob;
    this.#tools.findings.note(kind, `blob ${id}: ${how}`, { blobId: id });
  }
}
