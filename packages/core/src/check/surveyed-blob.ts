/** A blob as its pages on disk describe it, whatever is wrong with them. */

import { INTERNAL_XATTR } from '../blob/blob.js';
import { type BlobFlags, INVALID_FLAG, INVALID_FLAGS_KNOWN } from '../format/flags.js';
import type { Xattr } from '../format/xattr.js';
import { type BlobId, blobIdOfPage, INVALID_BLOB_ID, type MdPage } from '../units/units.js';

/** A run of adjacent clusters of the device. */
export interface DeviceRun {
  readonly first: number;
  /** The number after the last one. */
  readonly end: number;
}

export class SurveyedBlob {
  readonly id: BlobId;
  /** The first page of its chain. */
  readonly page: MdPage;
  /** The pages of its chain that were read so far, the root first. */
  readonly chain: MdPage[] = [];
  readonly extentPages: MdPage[] = [];
  /** The clusters that it names and that the device has. */
  readonly runs: DeviceRun[] = [];
  readonly xattrs: Xattr[] = [];
  readonly internalXattrs: Xattr[] = [];
  flags: BlobFlags = { invalid: 0n, dataRo: 0n, mdRo: 0n };
  /** Its number of clusters, from its extent table, or from its runs so far. */
  clusterCount = 0;
  isDamaged = false;
  /** True when its chain ends in a page of zeroes: it was being deleted when the process was killed. */
  isHalfDeleted = false;
  /** True when everything that says which clusters it has could be read. */
  extentsKnown = true;
  /**
   * True for an unfinished snapshot that is removed when the store is opened. What another blob also names belongs to
   * that other blob.
   */
  goes = false;

  constructor(page: MdPage) {
    this.page = page;
    this.id = blobIdOfPage(page);
  }

  get isExternalClone(): boolean {
    return (this.flags.invalid & INVALID_FLAG.EXTERNAL_SNAPSHOT) !== 0n;
  }

  /** True when it is read-only; also because of an unknown flag of a newer version. */
  get isReadOnly(): boolean {
    return this.flags.dataRo !== 0n;
  }

  get isThin(): boolean {
    return (this.flags.invalid & INVALID_FLAG.THIN) !== 0n;
  }

  /** True when it has flags of a newer version: then it is unknown what else is correct. */
  get isNewer(): boolean {
    return (this.flags.invalid & ~INVALID_FLAGS_KNOWN) !== 0n;
  }

  /** True when it is being deleted, and its clone may have taken over parts of it already. */
  get isPendingRemoval(): boolean {
    return this.internalXattr(INTERNAL_XATTR.SNAPSHOT_PENDING_REMOVAL) !== undefined;
  }

  /** The snapshot that it is a clone of; undefined when there is none. */
  get parentId(): BlobId | undefined {
    if (!this.isThin || this.isExternalClone) return undefined;
    const id = this.internalId(INTERNAL_XATTR.SNAPSHOT);
    return id === INVALID_BLOB_ID ? undefined : id;
  }

  /** For an unfinished snapshot: the blob that it was made of, or the clone that takes it over when it is deleted. */
  get counterpartId(): BlobId | undefined {
    return (
      this.internalId(INTERNAL_XATTR.SNAPSHOT_PENDING_REMOVAL) ?? this.internalId(INTERNAL_XATTR.SNAPSHOT_IN_PROGRESS)
    );
  }

  internalXattr(name: string): Uint8Array | undefined {
    return this.internalXattrs.find((xattr) => xattr.name === name)?.value;
  }

  /** Returns the id in an internal xattr; undefined when the xattr is missing, or contains no id. */
  internalId(name: string): BlobId | undefined {
    const value = this.internalXattr(name);
    if (value?.length !== 8) return undefined;
    return new DataView(value.buffer, value.byteOffset).getBigUint64(0, true);
  }
}
