/** The findings of a check of a store, and their outcomes. */

import { BlobstoreError } from '../units/error.js';
import type { BlobId } from '../units/units.js';

/** What a finding is about; a stable name for programs. */
export type FindingKind =
  /** There is no store on the device: nothing can be checked. */
  | 'no-store'
  /** The store is of a kind that this version cannot read: nothing is known about it. */
  | 'unsupported'
  /**
   * The super block does not describe a usable store, and nothing else can be checked; or its clean flag is invalid.
   */
  | 'super-block'
  /** The store was not closed: its masks are not trusted, and opening it recovers it. */
  | 'not-closed'
  /** The device is larger than the store. */
  | 'larger-device'
  /** The super blob that the super block names does not exist. */
  | 'super-blob'
  /** A mask is not as the super block describes it. */
  | 'mask'
  /** A mask marks pages or clusters as used that no blob has. */
  | 'leak'
  /** A mask marks pages or clusters as free that a blob has: they would be allocated again. */
  | 'not-reserved'
  /** The root of a blob exists, but the mask of blob ids does not list it. */
  | 'unlisted-blob'
  /** The mask of blob ids lists a blob whose root is missing. */
  | 'lost-blob'
  /** A closed store has a root on a page that its masks call free; after a crash it would be taken for a blob. */
  | 'stray-root'
  /** A metadata page that no blob names has a wrong crc, or does not belong in its place. */
  | 'page'
  /** A blob's chain of pages is broken. */
  | 'chain'
  /** A descriptor cannot be read. */
  | 'descriptor'
  /** Flags cannot be read, or are of a newer version. */
  | 'flags'
  /** An xattr cannot be read, or exists twice. */
  | 'xattr'
  /** A blob's records of its clusters are inconsistent. */
  | 'extents'
  /** The parent of a blob is missing, damaged, or no snapshot. */
  | 'parent'
  /** Two blobs name the same clusters, or one names them twice. */
  | 'shared-clusters'
  /** Two blobs name the same metadata page, or one names it twice. */
  | 'shared-page'
  | 'interrupted'
  /** The repair failed. */
  | 'repair';

/** A `note` is no damage: opening the store handles it, or it is only information. */
export type Severity = 'note' | 'damage';

export interface Finding {
  readonly kind: FindingKind;
  readonly severity: Severity;
  /** A sentence that says what is wrong, and where. */
  readonly message: string;
  readonly blobId?: BlobId;
  /** A page of the metadata region, by its number in the region. */
  readonly page?: number;
  /** A cluster of the device; the first one of several. */
  readonly cluster?: number;
  /**
   * `found`: reported by a check without repair, or a note that needs none; `repaired`: no longer there after the
   * repair; `left`: still there after the repair.
   */
  outcome: 'found' | 'repaired' | 'left';
}

export interface CheckSummary {
  /** The number of blobs whose root was found, including damaged ones. */
  readonly blobCount: number;
  /** The number of clusters that blobs have. */
  readonly usedClusters: number;
  /** The number of clusters that hold neither the store's metadata nor a blob's data. */
  readonly freeClusters: number;
  /** The number of pages of the metadata region that blobs have. */
  readonly mdPagesUsed: number;
  /** True when the store was closed before the check. */
  readonly wasClean: boolean;
}

export interface CheckReport {
  /**
   * `clean`: no damage, and the store can be opened; `repaired`: all damage was repaired; `left`: there is damage;
   * `unchecked`: there is no store, or one that this version cannot read, so nothing is known about damage.
   */
  readonly outcome: 'clean' | 'repaired' | 'left' | 'unchecked';
  readonly findings: readonly Finding[];
  /** What is in the store; undefined when there is no usable super block. */
  readonly summary: CheckSummary | undefined;
}

/**
 * Kinds of damage outside of blobs, which a repair settles. Leaks are not among them: clusters that are marked as used
 * may belong to a damaged blob.
 */
const SETTLED: readonly FindingKind[] = ['super-block', 'mask', 'not-reserved', 'unlisted-blob', 'stray-root'];

/**
 * True when a repair would settle some of the damage; false for what is left after a repair. EINVAL unless `report` is
 * the report of a check.
 */
export function isRepairable(report: CheckReport): boolean {
  if (!Array.isArray(report?.findings)) throw new BlobstoreError('EINVAL', 'isRepairable needs the report of a check');
  const { findings, summary } = report;
  const damage = findings.filter(({ severity, outcome }) => severity === 'damage' && outcome === 'found');
  if (summary === undefined || damage.length === 0) return false;
  const settled = damage.filter(({ kind }) => SETTLED.includes(kind));
  return settled.length > 0 || damage.every(({ kind }) => kind === 'leak');
}

/** Collects the findings of a check. */
export class Findings {
  readonly list: Finding[] = [];

  damage(kind: FindingKind, message: string, place: Pick<Finding, 'blobId' | 'page' | 'cluster'> = {}): void {
    this.list.push({ kind, severity: 'damage', message, ...place, outcome: 'found' });
  }

  note(kind: FindingKind, message: string, place: Pick<Finding, 'blobId' | 'page' | 'cluster'> = {}): void {
    this.list.push({ kind, severity: 'note', message, ...place, outcome: 'found' });
  }

  get hasDamage(): boolean {
    return this.list.some(({ severity }) => severity === 'damage');
  }
}

/** Returns `cluster 7` or `clusters 7 to 9`; `end` is the number after the last. */
export function rangeText(what: string, first: number, end: number): string {
  return end - first === 1 ? `${what} ${first}` : `${what}s ${first} to ${end - 1}`;
}
