/** A blob as its pages on the disk describe it, whatever is wrong with them. */

import { INTERNAL_XATTR } from '../blob/blob.js';
import { type BlobFlags, INVALID_FLAG, INVALID_FLAGS_KNOWN } from '../format/flags.js';
import type { Xattr } from '../format/xattr.js';
import { type BlobId, blobIdOfPage, INVALID_BLOB_ID, type MdPage } from '../units/units.js';

/** Clusters of the device that follow one another. */
export interface DeviceRun {
  readonly first: number;
  /** Past the last. */
  readonly end: number;
}

export class SurveyedBlob {
  readonly id: BlobId;
  /** The first page of its chain. */
  readonly page: MdPage;
  /** Its pages so far, the root first. */
  readonly chain: MdPage[] = [];
  readonly extentPages: MdPage[] = [];
  /** Clusters that it names and the device has. */
  readonly runs: DeviceRun[] = [];
  readonly xattrs: Xattr[] = [];
  readonly internalXattrs: Xattr[] = [];
  flags: BlobFlags = { invalid: 0n, dataRo: 0n, mdRo: 0n };
  /** Clusters by its extent table, or by its runs so far. */
  clusterCount = 0;
  isDamaged = false;
  /** Its chain ends in a page of zeroes: it was being deleted when the process was killed. */
  isHalfDeleted = false;
  /** All that says which clusters it has could be read. */
  extentsKnown = true;
  /** It is a snapshot under way that opening the store removes: what another blob names too is not its own. */
  goes = false;

  constructor(page: MdPage) {
    this.page = page;
    this.id = blobIdOfPage(page);
  }

  get isThin(): boolean {
    return (this.flags.invalid & INVALID_FLAG.THIN) !== 0n;
  }

  get isExternalClone(): boolean {
    return (this.flags.invalid & INVALID_FLAG.EXTERNAL_SNAPSHOT) !== 0n;
  }

  /** A flag of a newer version says so, too. */
  get isReadOnly(): boolean {
    return this.flags.dataRo !== 0n;
  }

  /** It has flags of a newer version, by which it cannot be told what else is right. */
  get isNewer(): boolean {
    return (this.flags.invalid & ~INVALID_FLAGS_KNOWN) !== 0n;
  }

  /** It is being deleted, and its clone may have taken parts of it over already. */
  get isPendingRemoval(): boolean {
    return this.internalXattr(INTERNAL_XATTR.SNAPSHOT_PENDING_REMOVAL) !== undefined;
  }

  /** The snapshot that it is a clone of; undefined when there is none. */
  get parentId(): BlobId | undefined {
    if (!this.isThin || this.isExternalClone) return undefined;
    const id = this.internalId(INTERNAL_XATTR.SNAPSHOT);
    return id === INVALID_BLOB_ID ? undefined : id;
  }

  /** The blob that a snapshot under way was made of, or that takes over the one that is being deleted. */
  get counterpartId(): BlobId | undefined {
    return (
      this.internalId(INTERNAL_XATTR.SNAPSHOT_PENDING_REMOVAL) ?? this.internalId(INTERNAL_XATTR.SNAPSHOT_IN_PROGRESS)
    );
  }

  internalXattr(name: string): Uint8Array | undefined {
    return this.internalXattrs.find((xattr) => xattr.name === name)?.value;
  }

  /** The id in an internal xattr; undefined when it is not there, or holds no id. */
  internalId(name: string): BlobId | undefined {
    const value = this.internalXattr(name);
    if (value?.length !== 8) return undefined;
    return new DataView(value.buffer, value.byteOffset).getBigUint64(0, true);
  }
}
