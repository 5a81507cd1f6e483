/** What a check of a store finds, and what became of it. */

import { BlobstoreError } from '../units/error.js';
import type { BlobId } from '../units/units.js';

/** What a finding is about; a stable name for programs. */
export type FindingKind =
  /** There is no store on the device: nothing can be looked at. */
  | 'no-store'
  /** The store is of a sort that this version cannot read: nothing is said of it. */
  | 'unsupported'
  /** The super block is not that of a usable store, and nothing else can be looked at; or its clean flag is none. */
  | 'super-block'
  /** The store was not closed: its masks are not to be trusted, and opening it recovers it. */
  | 'not-closed'
  /** The device is larger than the store. */
  | 'larger-device'
  /** The blob that the super block names is not there. */
  | 'super-blob'
  /** A mask is not what the super block says. */
  | 'mask'
  /** A mask marks pages or clusters as used that nobody has. */
  | 'leak'
  /** A mask marks pages or clusters as free that a blob has: they would be handed out. */
  | 'not-reserved'
  /** The root of a blob is there, and the mask of blob ids does not list it. */
  | 'unlisted-blob'
  /** The mask of blob ids lists a blob whose root is not there. */
  | 'lost-blob'
  /** A closed store has a root on a page that its masks call free; after a crash it would be taken for a blob's. */
  | 'stray-root'
  /** A metadata page does not fit its crc, and no blob names it. */
  | 'page'
  /** A blob's chain of pages is broken. */
  | 'chain'
  /** A descriptor cannot be read. */
  | 'descriptor'
  /** Flags that cannot be read, or are of a newer version. */
  | 'flags'
  /** An xattr cannot be read, or is there twice. */
  | 'xattr'
  /** What a blob says of its clusters does not add up. */
  | 'extents'
  /** What is behind a blob is missing, damaged, or no snapshot. */
  | 'parent'
  /** Blobs name the same clusters. */
  | 'shared-clusters'
  /** Blobs name the same metadata page. */
  | 'shared-page'
  | 'interrupted'
  /** Repairing failed. */
  | 'repair';

/** A `note` is nothing wrong: opening the store deals with it, or it is only worth knowing. */
export type Severity = 'note' | 'damage';

export interface Finding {
  readonly kind: FindingKind;
  readonly severity: Severity;
  /** A sentence that says what is wrong, and where. */
  readonly message: string;
  readonly blobId?: BlobId;
  /** A page of the metadata region. */
  readonly page?: number;
  /** A cluster of the device, the first one of several. */
  readonly cluster?: number;
  /** `found`: nothing was to be repaired; `repaired`: it is gone; `left`: it is still there after repairing. */
  outcome: 'found' | 'repaired' | 'left';
}

export interface CheckSummary {
  /** Blobs whose root was found, damaged ones among them. */
  readonly blobCount: number;
  /** Clusters that blobs have. */
  readonly usedClusters: number;
  /** Clusters that hold neither the store's metadata nor a blob's data. */
  readonly freeClusters: number;
  /** Pages of the metadata region that blobs have. */
  readonly mdPagesUsed: number;
  /** The store was closed before it was checked. */
  readonly wasClean: boolean;
}

export interface CheckReport {
  /**
   * `clean`: no damage, and the store opens; `repaired`: all that was wrong is repaired; `left`: some damage is there;
   * `unchecked`: there is no store, or none that this version can read, of which it is not said that it is damaged.
   */
  readonly outcome: 'clean' | 'repaired' | 'left' | 'unchecked';
  readonly findings: readonly Finding[];
  /** What is in the store; undefined when there is no usable super block. */
  readonly summary: CheckSummary | undefined;
}

/** Damage that is not in blobs: a repair settles it. But clusters that are marked as used may be a damaged blob's. */
const SETTLED: readonly FindingKind[] = ['super-block', 'mask', 'not-reserved', 'unlisted-blob', 'stray-root'];

/** True when a repair would settle some of the damage; false for what is left after one. EINVAL unless it is a report. */
export function isRepairable(report: CheckReport): boolean {
  if (!Array.isArray(report?.findings))
    throw new BlobstoreError('EINVAL', 'what is repairable is the report of a check');
  const { findings, summary } = report;
  const damage = findings.filter(({ severity, outcome }) => severity === 'damage' && outcome === 'found');
  if (summary === undefined || damage.length === 0) return false;
  const settled = damage.filter(({ kind }) => SETTLED.includes(kind));
  return settled.length > 0 || damage.every(({ kind }) => kind === 'leak');
}

/** Findings while a check goes on. */
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

/** `cluster 7`, or `clusters 7 to 9`; `end` is past the last. */
export function rangeText(what: string, first: number, end: number): string {
  return end - first === 1 ? `${what} ${first}` : `${what}s ${first} to ${end - 1}`;
}
