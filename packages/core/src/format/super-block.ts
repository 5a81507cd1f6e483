/**
 * The super block, page 0 of the device. A view of its bytes, so that fields that this version does not know are
 * preserved when the page is written again.
 */

import { BlobstoreError } from '../units/error.js';
import { type BlobId, INVALID_BLOB_ID, PAGE_BYTES } from '../units/units.js';
import { pageCrc } from './md-page.js';

const SIGNATURE = 'SPDKBLOB';
const VERSION_FIRST = 1;
/** The version of new stores. */
export const SUPER_VERSION = 3;
/** Bytes of a store type. */
export const BSTYPE_BYTES = 16;

const AT = {
  SIGNATURE: 0,
  VERSION: 8,
  LENGTH: 12,
  CLEAN: 16,
  SUPER_BLOB: 20,
  CLUSTER_BYTES: 28,
  PAGE_MASK_START: 32,
  PAGE_MASK_PAGES: 36,
  CLUSTER_MASK_START: 40,
  CLUSTER_MASK_PAGES: 44,
  MD_START: 48,
  MD_PAGES: 52,
  BSTYPE: 56,
  BLOB_ID_MASK_START: 72,
  BLOB_ID_MASK_PAGES: 76,
  SIZE: 80,
  IO_UNIT_BYTES: 88,
  MD_PAGE_BYTES: 92,
  CRC: 4092,
} as const;

/** A range of pages counted from the device's start. */
export interface PageRange {
  start: number;
  count: number;
}

/** Reads and changes the fields of a super block in memory. Sizes are in bytes. Call `seal` before it is written. */
export class SuperBlock {
  readonly bytes: Uint8Array;
  readonly #view: DataView;

  constructor(bytes: Uint8Array = new Uint8Array(PAGE_BYTES)) {
    this.bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, PAGE_BYTES);
  }

  /** A new super block: signature, version, length, and no super blob. */
  static fresh(): SuperBlock {
    const block = new SuperBlock();
    for (let at = 0; at < SIGNATURE.length; at++) block.bytes[AT.SIGNATURE + at] = SIGNATURE.charCodeAt(at);
    block.#view.setUint32(AT.VERSION, SUPER_VERSION, true);
    block.#view.setUint32(AT.LENGTH, PAGE_BYTES, true);
    block.superBlobId = INVALID_BLOB_ID;
    return block;
  }

  get hasSignature(): boolean {
    return this.signature === SIGNATURE;
  }

  /** The first eight bytes of the page, one character for each byte. */
  get signature(): string {
    return String.fromCharCode(...this.bytes.subarray(AT.SIGNATURE, AT.SIGNATURE + SIGNATURE.length));
  }

  get version(): number {
    return this.#u32(AT.VERSION);
  }

  get crc(): number {
    return this.#u32(AT.CRC);
  }

  get isSealed(): boolean {
    return this.crc === pageCrc(this.bytes);
  }

  /** The raw clean word; 1 after a clean unload. */
  get clean(): number {
    return this.#u32(AT.CLEAN);
  }
  set clean(value: number) {
    this.#view.setUint32(AT.CLEAN, value, true);
  }

  get superBlobId(): BlobId {
    return this.#view.getBigUint64(AT.SUPER_BLOB, true);
  }
  set superBlobId(id: BlobId) {
    this.#view.setBigUint64(AT.SUPER_BLOB, id, true);
  }

  get clusterBytes(): number {
    return this.#u32(AT.CLUSTER_BYTES);
  }
  set clusterBytes(value: number) {
    this.#view.setUint32(AT.CLUSTER_BYTES, value, true);
  }

  /** Where the used-page mask lies. */
  get pageMask(): PageRange {
    return this.#range(AT.PAGE_MASK_START);
  }
  set pageMask(range: PageRange) {
    this.#setRange(AT.PAGE_MASK_START, range);
  }

  /** Where the used-cluster mask lies. */
  get clusterMask(): PageRange {
    return this.#range(AT.CLUSTER_MASK_START);
  }
  set clusterMask(range: PageRange) {
    this.#setRange(AT.CLUSTER_MASK_START, range);
  }

  /** Where the used-blob-id mask lies. Count 0 in stores of versions before 3, which have none. */
  get blobIdMask(): PageRange {
    return this.#range(AT.BLOB_ID_MASK_START);
  }
  set blobIdMask(range: PageRange) {
    this.#setRange(AT.BLOB_ID_MASK_START, range);
  }

  /** Where the metadata region lies. */
  get metadata(): PageRange {
    return this.#range(AT.MD_START);
  }
  set metadata(range: PageRange) {
    this.#setRange(AT.MD_START, range);
  }

  /** The store's type, 16 bytes; a copy. */
  get bstype(): Uint8Array {
    return this.bytes.slice(AT.BSTYPE, AT.BSTYPE + BSTYPE_BYTES);
  }
  set bstype(type: Uint8Array) {
    this.bytes.set(type, AT.BSTYPE);
  }

  /**
   * Bytes of the store. 0 in old stores, which take the whole device. Loses precision above 2^53, a size that no device
   * has.
   */
  get sizeBytes(): number {
    return Number(this.#view.getBigUint64(AT.SIZE, true));
  }
  set sizeBytes(value: number) {
    this.#view.setBigUint64(AT.SIZE, BigInt(value), true);
  }

  /** Bytes of an io unit. 0 in old stores, where it is 4096. */
  get ioUnitBytes(): number {
    return this.#u32(AT.IO_UNIT_BYTES);
  }
  set ioUnitBytes(value: number) {
    this.#view.setUint32(AT.IO_UNIT_BYTES, value, true);
  }

  /** Bytes of a metadata page, as newer stores record it. 0 stands for 4096. */
  get mdPageBytes(): number {
    return this.#u32(AT.MD_PAGE_BYTES);
  }
  set mdPageBytes(value: number) {
    this.#view.setUint32(AT.MD_PAGE_BYTES, value, true);
  }

  /** Writes the crc. */
  seal(): void {
    this.#view.setUint32(AT.CRC, pageCrc(this.bytes), true);
  }

  /**
   * Checks version, signature, crc, type and size.
   * @param bstype - the expected type, 16 bytes; all zeroes accepts any
   * @param deviceBytes - size of the device in bytes
   * @throws EILSEQ when this is no super block that this version can use, ENXIO when the store is of another type.
   */
  validate(bstype: Uint8Array, deviceBytes: number): void {
    if (this.version < VERSION_FIRST || this.version > SUPER_VERSION || !this.hasSignature) {
      const found = this.hasSignature ? `a blobstore of version ${this.version}` : 'no blobstore signature';
      throw new BlobstoreError('EILSEQ', `the device holds ${found}; this engine reads versions 1 to ${SUPER_VERSION}`);
    }
    if (!this.isSealed)
      throw new BlobstoreError('EILSEQ', 'the super block is damaged: its crc does not fit its bytes');
    if (!isWildcard(bstype) && !sameBytes(bstype, this.bstype)) {
      throw new BlobstoreError('ENXIO', `the store is of type ${quoteType(this.bstype)}, not ${quoteType(bstype)}`);
    }
    if (this.sizeBytes > deviceBytes) {
      const sizes = `the store has ${this.sizeBytes} bytes, its device only ${deviceBytes}`;
      throw new BlobstoreError('EILSEQ', `${sizes}: the device was cut, or this is only a part of it`);
    }
  }

  #u32(at: number): number {
    return this.#view.getUint32(at, true);
  }

  #range(at: number): PageRange {
    return { start: this.#u32(at), count: this.#u32(at + 4) };
  }

  #setRange(at: number, range: PageRange): void {
    this.#view.setUint32(at, range.start, true);
    this.#view.setUint32(at + 4, range.count, true);
  }
}

/**
 * Converts text to a store type: its UTF-8 bytes, padded with zeroes to 16. Throws EINVAL when they are more than 16.
 */
export function bstypeFromText(text: string): Uint8Array {
  const bytes = new TextEncoder().encode(text);
  if (bytes.length > BSTYPE_BYTES) {
    throw new BlobstoreError('EINVAL', `a store type has at most ${BSTYPE_BYTES} bytes, '${text}' has ${bytes.length}`);
  }
  const bstype = new Uint8Array(BSTYPE_BYTES);
  bstype.set(bytes);
  return bstype;
}

/** The text of a store type, up to its first zero byte. */
export function bstypeToText(bstype: Uint8Array): string {
  const end = bstype.indexOf(0);
  return new TextDecoder().decode(end < 0 ? bstype : bstype.subarray(0, end));
}

function quoteType(bstype: Uint8Array): string {
  return isWildcard(bstype) ? '(none)' : `'${bstypeToText(bstype)}'`;
}

function isWildcard(bstype: Uint8Array): boolean {
  return bstype.every((byte) => byte === 0);
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.every((byte, at) => byte === b[at]);
}
