/**
 * Checks a store that is not open anywhere. First everything that can be verified from the metadata pages alone,
 * without trusting the masks; then the masks against the result. Metadata pages that were never in use are not read,
 * unless something is wrong, or all pages are asked for. Nothing is written unless a repair is requested.
 */

import type { BlockDevice, DeviceChannel } from '../device/block-device.js';
import { SuperBlock } from '../format/super-block.js';
import { BitArray } from '../shared/bit-array.js';
import { readMarks } from '../state/high-water.js';
import { RegionReader } from '../state/region-reader.js';
import { forEachPaced } from '../steps/paced.js';
import { type Steps, wait } from '../steps/steps.js';
import { requireBlockLength } from '../store/options.js';
import { isUnknown } from '../survey/strays.js';
import type { Geometry } from '../units/geometry.js';
import { type BlobId, INVALID_BLOB_ID, type MdPage, NONE_U32, PAGE_BYTES, pageOfBlobId } from '../units/units.js';
import { compareMasks, type FoundMasks, readFoundMasks } from './check-masks.js';
import { checkSuper } from './check-super.js';
import { checkFamilies, markGoing } from './family.js';
import { findOwners, type Owned } from './owners.js';
import { type PageScan, scanPages } from './page-scan.js';
import { repairStore } from './repair.js';
import { type CheckReport, type CheckSummary, type Finding, type FindingKind, Findings } from './report.js';
import { areWhole, MaskWitness } from './strays.js';
import { surveyBlob } from './survey-blob.js';
import type { SurveyedBlob } from './surveyed-blob.js';

/** In a closed store this many metadata pages are read in any case, to find what its masks do not know. */
const CLOSED_PAGES_MIN = 1024;
/** How many times a store is repaired at most, when each repair reveals something new. */
const PASSES_MAX = 4;

export interface CheckOptions {
  /** Repairs what can be repaired without losing data. Default: false. */
  repair?: boolean;
  /**
   * Reads every metadata page. Otherwise, as long as nothing is wrong, only the pages are read that may be in use: in a
   * store that was not closed those below its high-water mark; in a closed one those up to the last that its masks mark
   * as used, and at least the first 1024. Default: false.
   */
  full?: boolean;
}

/**
 * Checks the store on a device. It must not be open anywhere. The report says what is wrong with the store.
 * @throws EINVAL an invalid block length; ENOTSUP a store with larger metadata pages; EIO of the device
 */
export function* checkStore(device: BlockDevice, options: CheckOptions = {}): Steps<CheckReport> {
  const { full = false } = options;
  const before = yield* examine(device, full);
  if (!options.repair || before.summary === undefined) return report(before, before.findings.list);
  if (before.findings.list.every((finding) => !asksForRepair(finding))) return report(before, before.findings.list);
  const { after, failure } = yield* repairWhileItHelps(device, before, full);
  const findings = settled(before.findings.list, after.findings.list);
  if (failure) findings.push(failure);
  return report(after, findings);
}

/**
 * Repairs again when something is left that was not there before. When a repair settles an unfinished snapshot, what
 * was reserved for it is not needed any more; only the next repair finds and releases that.
 */
function* repairWhileItHelps(
  device: BlockDevice,
  before: Examination,
  full: boolean,
): Steps<{ after: Examination; failure: Finding | undefined }> {
  let after = before;
  for (let pass = 1; ; pass++) {
    const known = after.findings.list.map(({ message }) => message);
    const failure = yield* repairStore(device, full);
    after = yield* examine(device, full);
    const left = after.findings.list.filter(asksForRepair);
    if (failure || pass === PASSES_MAX || left.every(({ message }) => known.includes(message)))
      return { after, failure };
  }
}

/** The result of an examination; without a summary there is no store to examine. */
export interface Examination {
  readonly findings: Findings;
  readonly summary: CheckSummary | undefined;
}

function* examine(device: BlockDevice, full: boolean): Steps<Examination> {
  requireBlockLength(device.blockLengthBytes);
  const findings = new Findings();
  const channel = device.openChannel();
  try {
    const block = yield* readSuperUnchecked(channel, device, findings);
    const geometry = block && checkSuper(block, device, findings);
    if (!block || !geometry) return { findings, summary: undefined };
    let examiner = new Examiner(channel, geometry, block, full);
    let summary = yield* examiner.run();
    if (!full && !examiner.isCertain) {
      examiner = new Examiner(channel, geometry, block, true);
      summary = yield* examiner.run();
    }
    findings.list.push(...examiner.findings.list);
    return { findings, summary };
  } finally {
    channel.close();
  }
}

function* readSuperUnchecked(
  channel: DeviceChannel,
  device: BlockDevice,
  findings: Findings,
): Steps<SuperBlock | undefined> {
  const block = new SuperBlock();
  const blocks = PAGE_BYTES / device.blockLengthBytes;
  if (device.blockCount >= blocks) {
    yield* wait(channel.read(block.bytes, 0, 0, blocks));
    return block;
  }
  const bytes = device.blockCount * device.blockLengthBytes;
  findings.note('no-store', `the device has ${bytes} bytes, and a store begins with a super block of ${PAGE_BYTES}`);
  return undefined;
}

/** A blob, and what is wrong with the blob alone. */
interface Surveyed {
  readonly blob: SurveyedBlob;
  readonly findings: Findings;
}

/** Findings that raise no doubt about what says which metadata pages are in use. */
const HARMLESS: readonly FindingKind[] = ['not-closed', 'larger-device', 'super-blob', 'interrupted'];

const NO_MASKS: FoundMasks = { pages: undefined, clusters: undefined, blobIds: undefined };

/** Examines a store whose super block is usable. */
class Examiner {
  readonly findings = new Findings();
  readonly #channel: DeviceChannel;
  readonly #geometry: Geometry;
  readonly #block: SuperBlock;
  readonly #full: boolean;
  #isCertain = false;
  readonly #clusterCount: number;
  readonly #blobs = new Map<BlobId, SurveyedBlob>();
  /** True when one of them was half deleted as it was read. */
  #hasHalfDeleted = false;
  readonly #soundPages: BitArray;
  /**
   * How often each extent page was read, for blobs that the masks know and for others: the others must not use up the
   * reads of the known ones.
   */
  readonly #extentPageReads = { known: new Map<number, number>(), unknown: new Map<number, number>() };

  /** @param full - reads every metadata page */
  constructor(channel: DeviceChannel, geometry: Geometry, block: SuperBlock, full: boolean) {
    this.#channel = channel;
    this.#geometry = geometry;
    this.#block = block;
    this.#full = full;
    this.#clusterCount = Math.floor(block.sizeBytes / block.clusterBytes);
    this.#soundPages = BitArray.private(geometry.mdPageCount);
  }

  /**
   * True when all pages were read, or when nothing is wrong with the pages that may be in use, and none of them names a
   * page that was not read. Otherwise what says which pages are in use may be wrong as well.
   */
  get isCertain(): boolean {
    return this.#isCertain;
  }

  *run(): Steps<CheckSummary> {
    const wasClean = this.#block.clean !== 0 && this.#block.blobIdMask.count > 0;
    if (!wasClean)
      this.findings.note('not-closed', 'the store was not closed: opening it recovers it from its metadata');
    const masks = wasClean ? yield* this.#readMasks() : NO_MASKS;
    const end = this.#full ? undefined : yield* this.#findEnd(masks);
    const region = new RegionReader(this.#channel, this.#geometry, end);
    try {
      const summary = yield* this.#examine(region, masks, wasClean);
      const isHarmless = this.findings.list.every(({ kind }) => HARMLESS.includes(kind));
      this.#isCertain = this.#full || (isHarmless && (end === undefined || region.end === end));
      return summary;
    } finally {
      yield* region.settle();
    }
  }

  /** The end of the metadata pages that may be in use; undefined when it is not known. */
  *#findEnd(masks: FoundMasks): Steps<number | undefined> {
    if (areWhole(masks)) {
      const end = Math.max(masks.pages.lengthUsed(), masks.blobIds.lengthUsed(), CLOSED_PAGES_MIN);
      return Math.min(end, this.#geometry.mdPageCount);
    }
    return (yield* readMarks(this.#channel, this.#geometry, this.#block, this.#clusterCount)).mdPages;
  }

  *#examine(region: RegionReader, masks: FoundMasks, wasClean: boolean): Steps<CheckSummary> {
    const scan = yield* scanPages(region);
    yield* this.#surveyBlobs(region, scan, masks);
    if (this.#hasHalfDeleted) region.distrustEnd(); // only SPDK leaves them
    yield* this.#endDeletions();
    const blobs = [...this.#blobs.values()];
    yield* markGoing(this.#blobs);
    const counts = { clusterCount: this.#clusterCount, mdPageCount: this.#geometry.mdPageCount };
    const owned = yield* findOwners(blobs, counts, this.findings);
    yield* checkFamilies(this.#blobs, this.findings);
    if (this.#block.superBlobId !== INVALID_BLOB_ID) region.expect(pageOfBlobId(this.#block.superBlobId));
    this.#checkSuperBlob();
    const usedClusters = owned.clusters.countSet();
    for (let cluster = 0; cluster < this.#geometry.metadataClusterCount(); cluster++) owned.clusters.set(cluster);
    yield* this.#compareMasks(masks, owned);
    this.#checkStrayPages(scan, owned, masks.pages);
    return {
      blobCount: blobs.length,
      usedClusters,
      freeClusters: this.#clusterCount - owned.clusters.countSet(),
      mdPagesUsed: owned.pages.countSet(),
      wasClean,
    };
  }

  #readMasks(): Steps<FoundMasks> {
    return readFoundMasks(this.#channel, this.#geometry, this.#block, this.#clusterCount, this.findings);
  }

  *#compareMasks(masks: FoundMasks, owned: Owned): Steps<void> {
    const roots = BitArray.private(this.#geometry.mdPageCount);
    let isComplete = true;
    yield* forEachPaced(this.#blobs.values(), ({ page, extentsKnown }) => {
      roots.set(page);
      isComplete &&= extentsKnown;
    });
    compareMasks(masks, { ...owned, roots, soundPages: this.#soundPages, isComplete }, this.findings);
  }

  /**
   * Surveys all blobs. Of those that the masks do not know it adds only those that the masks may have lost; the rest
   * are strays.
   */
  *#surveyBlobs(region: RegionReader, scan: PageScan, masks: FoundMasks): Steps<void> {
    const witness = areWhole(masks) ? new MaskWitness(masks, this.#geometry) : undefined;
    const unknown: Surveyed[] = [];
    for (let page = scan.roots.findFirstSet(0); page !== NONE_U32; page = scan.roots.findFirstSet(page + 1)) {
      const isSealed = scan.sealed.get(page);
      if (!isSealed && masks.blobIds?.get(page) === false) continue; // garbage, see `#checkStrayPages`
      const isKnown = !areWhole(masks) || !isSealed || !isUnknown(masks, page);
      const surveyed = yield* this.#survey(region, page as MdPage, isKnown ? 'known' : 'unknown');
      if (!isKnown) unknown.push(surveyed);
      else this.#add(surveyed);
      if (isKnown) witness?.add(surveyed.blob);
    }
    if (unknown.length === 0) return;
    if (!witness?.areStrays(unknown.map(({ blob }) => blob))) for (const surveyed of unknown) this.#add(surveyed);
    else for (const { blob } of unknown) this.#reportStray(blob);
  }

  *#survey(region: RegionReader, page: MdPage, by: 'known' | 'unknown'): Steps<Surveyed> {
    const findings = new Findings();
    const extentPageReads = this.#extentPageReads[by];
    const wasClosed = this.#block.clean !== 0;
    const tools = { region, findings, clusterCount: this.#clusterCount, wasClosed, extentPageReads };
    const blob = yield* surveyBlob(tools, page);
    yield undefined;
    return { blob, findings };
  }

  #add({ blob, findings }: Surveyed): void {
    this.#blobs.set(blob.id, blob);
    this.#hasHalfDeleted ||= blob.isHalfDeleted;
    this.findings.list.push(...findings.list);
    if (blob.isDamaged || blob.isNewer) return;
    for (const own of [...blob.chain, ...blob.extentPages]) this.#soundPages.set(own);
  }

  #reportStray({ id, page }: SurveyedBlob): void {
    const why = 'the blob was deleted, or it is a copy of another one';
    const message = `metadata page ${page} holds the root of blob ${id}, and the masks mark all that it has as free: ${why}`;
    this.findings.damage('stray-root', message, { page });
  }

  /** Half-deleted blobs are gone. But a blob that another blob needs cannot have been deleted: it is damaged. */
  *#endDeletions(): Steps<void> {
    if (!this.#hasHalfDeleted) return;
    const needed = new Set<BlobId | undefined>();
    yield* forEachPaced(this.#blobs.values(), ({ parentId, counterpartId }) => {
      needed.add(parentId).add(counterpartId);
    });
    yield* forEachPaced(this.#blobs.values(), (blob) => {
      if (!blob.isHalfDeleted) return;
      const { id: blobId, page } = blob;
      const found = 'a later page of its chain is zeroes';
      if (needed.has(blobId)) {
        blob.isDamaged = true;
        blob.extentsKnown = false;
        this.findings.damage('chain', `blob ${blobId} is damaged: ${found}`, { blobId, page });
      } else {
        this.#blobs.delete(blobId);
        const fate = 'it was being deleted; opening the store ends that';
        this.findings.note('interrupted', `blob ${blobId}: ${found}: ${fate}`, { blobId });
      }
    });
  }

  /**
   * Checks pages that no blob names. Page writes count as atomic, so each page is zeroes or has a correct crc. Another
   * one may have belonged to a blob, unless the store was closed and marks the page as free.
   */
  #checkStrayPages({ nonZero, sealed, misplaced }: PageScan, { pages }: Owned, marked: BitArray | undefined): void {
    for (let page = nonZero.findFirstSet(0); page !== NONE_U32; page = nonZero.findFirstSet(page + 1)) {
      if (pages.get(page) || (sealed.get(page) && !misplaced.get(page))) continue;
      const how = sealed.get(page) ? 'belongs in another place' : 'does not fit its crc';
      if (marked === undefined || marked.get(page)) {
        this.findings.damage('page', `metadata page ${page} ${how}, and may have been a blob's`, { page });
      } else this.findings.note('page', `metadata page ${page} ${how}, but is free`, { page });
    }
  }

  #checkSuperBlob(): void {
    const { superBlobId } = this.#block;
    if (superBlobId === INVALID_BLOB_ID || this.#blobs.has(superBlobId)) return;
    const message = `the super blob, ${superBlobId}, is not there: it was deleted, and no other one was named`;
    this.findings.note('super-blob', message, { blobId: superBlobId });
  }
}

/** Kinds of notes that a repair settles; the others are only information. */
const SETTLED_BY_REPAIR: readonly FindingKind[] = ['not-closed', 'interrupted', 'page'];

function asksForRepair({ severity, kind }: Finding): boolean {
  return severity === 'damage' || SETTLED_BY_REPAIR.includes(kind);
}

/** Returns the findings from before a repair with their outcomes, and then the new ones. */
function settled(before: readonly Finding[], after: readonly Finding[]): Finding[] {
  const placeOf = ({ kind, blobId, page, cluster }: Finding) => `${kind} ${blobId} ${page} ${cluster}`;
  const still = new Map<string, Finding[]>();
  for (const finding of after) still.set(placeOf(finding), [...(still.get(placeOf(finding)) ?? []), finding]);
  const known = before.map((finding): Finding => {
    const same = still.get(placeOf(finding))?.shift();
    if (same === undefined) return { ...finding, outcome: 'repaired' };
    return { ...same, outcome: asksForRepair(same) ? 'left' : 'found' };
  });
  return [...known, ...[...still.values()].flat().map((finding): Finding => ({ ...finding, outcome: 'left' }))];
}

function report({ summary }: Examination, findings: Finding[]): CheckReport {
  return { outcome: outcomeOf(findings, summary), findings, summary };
}

function outcomeOf(findings: readonly Finding[], summary: CheckSummary | undefined): CheckReport['outcome'] {
  if (findings.some(({ severity, outcome }) => severity === 'damage' && outcome !== 'repaired')) return 'left';
  if (summary === undefined) return 'unchecked';
  return findings.some(({ outcome }) => outcome === 'repaired') ? 'repaired' : 'clean';
}
