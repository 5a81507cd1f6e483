/**
 * Prints a store's metadata as text, in the reference's format, line by line; for finding out what is wrong on a disk.
 */

import type { BlockDevice, DeviceChannel } from '../device/block-device.js';
import { DESCRIPTOR, type Descriptor, descriptorsOf } from '../format/descriptor.js';
import { decodeExtentPage } from '../format/extent-page.js';
import { decodeExtentRle } from '../format/extent-rle.js';
import { decodeExtentTable } from '../format/extent-table.js';
import { decodeFlags } from '../format/flags.js';
import { MdPageView, pageCrc } from '../format/md-page.js';
import { SuperBlock } from '../format/super-block.js';
import { decodeXattr } from '../format/xattr.js';
import { BitArray } from '../shared/bit-array.js';
import { type Masks, readMasks } from '../state/masks.js';
import { type Steps, wait } from '../steps/steps.js';
import { BlobstoreError } from '../units/error.js';
import type { Geometry } from '../units/geometry.js';
import { INVALID_BLOB_ID, type MdPage, NONE_U32, PAGE_BYTES } from '../units/units.js';
import { CLUSTER_BYTES_DEFAULT, requireBlockLength, requireDeviceSize } from './options.js';
import { parseGeometry } from './super-geometry.js';

const BATCH_PAGES = 256;

/** Prints the value of an xattr, one character per byte. */
export type PrintXattr = (name: string, value: Uint8Array) => string;
/** Prints untrusted text from the disk: a type, or the name of an xattr; one character per byte. */
export type PrintText = (text: string) => string;

export interface Printers {
  readonly printXattr: PrintXattr;
  readonly printText: PrintText;
}

/**
 * Prints the metadata of an unloaded store.
 * @param write - called with each piece of the text, also before an error
 * @throws EILSEQ when the device holds no store, ENOSPC when it is smaller than 1 MiB, EIO of the device
 */
export function* dump(device: BlockDevice, write: (text: string) => void, printers: Printers): Steps<void> {
  const { printText } = printers;
  requireBlockLength(device.blockLengthBytes);
  requireDeviceSize(CLUSTER_BYTES_DEFAULT, device.blockCount * device.blockLengthBytes);
  const channel = device.openChannel();
  try {
    const block = new SuperBlock();
    yield* wait(channel.read(block.bytes, 0, 0, PAGE_BYTES / device.blockLengthBytes));
    write(superText(block, printText));
    if (!block.hasSignature)
      throw new BlobstoreError('EILSEQ', 'the device holds no blobstore: its signature is missing');
    if (block.sizeBytes === 0) block.sizeBytes = device.blockCount * device.blockLengthBytes;
    const geometry = parseGeometry(block, device);
    yield* dumpRegion(channel, geometry, block, write, printers);
  } finally {
    channel.close();
  }
}

function superText(block: SuperBlock, printText: PrintText): string {
  if (!block.hasSignature) return `Signature: "${printText(untilZero(block.signature))}" (Mismatch)\n`;
  const superBlob = block.superBlobId === INVALID_BLOB_ID ? '(None)' : hex(block.superBlobId);
  return [
    `Signature: "${block.signature}" (OK)`,
    `Version: ${block.version}`,
    `CRC: ${hex(block.crc)} (${block.isSealed ? 'OK' : 'Mismatch'})`,
    `Blobstore Type: ${printText(untilZero(bytesToText(block.bstype)))}`,
    `Cluster Size: ${block.clusterBytes}`,
    `Super Blob ID: ${superBlob}`,
    `Clean: ${block.clean}`,
    `Used Metadata Page Mask Start: ${block.pageMask.start}`,
    `Used Metadata Page Mask Length: ${block.pageMask.count}`,
    `Used Cluster Mask Start: ${block.clusterMask.start}`,
    `Used Cluster Mask Length: ${block.clusterMask.count}`,
    `Used Blob ID Mask Start: ${block.blobIdMask.start}`,
    `Used Blob ID Mask Length: ${block.blobIdMask.count}`,
    `Metadata Start: ${block.metadata.start}`,
    `Metadata Length: ${block.metadata.count}`,
    '',
  ].join('\n');
}

function* dumpRegion(
  channel: DeviceChannel,
  geometry: Geometry,
  block: SuperBlock,
  write: (text: string) => void,
  printers: Printers,
): Steps<void> {
  const clusterCount = Math.floor(block.sizeBytes / block.clusterBytes);
  const masks = yield* readMasksIfAny(channel, geometry, block, clusterCount);
  const dump = new PageDump(geometry, block.clean !== 0, masks.pages, masks.blobIds, printers);
  for (let first = 0; first < geometry.mdPageCount; first += BATCH_PAGES) {
    const count = Math.min(BATCH_PAGES, geometry.mdPageCount - first);
    const bytes = new Uint8Array(count * PAGE_BYTES);
    yield* wait(channel.read(bytes, 0, geometry.mdPageToLba(first as MdPage), count * geometry.blocksPerPage));
    for (let at = 0; at < count; at++) {
      const page = new MdPageView(bytes, at * PAGE_BYTES);
      if (page.id !== 0n) write(dump.pageText(page, (first + at) as MdPage));
      yield undefined;
    }
  }
}

/**
 * Reads the masks. A store that is in use, or was killed, may never have written them: then nothing is marked as used.
 */
function* readMasksIfAny(
  channel: DeviceChannel,
  geometry: Geometry,
  block: SuperBlock,
  clusterCount: number,
): Steps<Pick<Masks, 'pages' | 'blobIds'>> {
  try {
    return yield* readMasks(channel, geometry, block, clusterCount);
  } catch (error) {
    if (block.clean !== 0 || !(error instanceof BlobstoreError) || error.code !== 'EILSEQ') throw error;
    return { pages: BitArray.private(0), blobIds: BitArray.private(0) };
  }
}

class PageDump {
  readonly #geometry: Geometry;
  readonly #clean: boolean;
  readonly #usedPages: BitArray;
  readonly #usedBlobIds: BitArray;
  readonly #printers: Printers;

  constructor(geometry: Geometry, clean: boolean, usedPages: BitArray, usedBlobIds: BitArray, printers: Printers) {
    this.#geometry = geometry;
    this.#clean = clean;
    this.#usedPages = usedPages;
    this.#usedBlobIds = usedBlobIds;
    this.#printers = printers;
  }

  pageText(page: MdPageView, number: MdPage): string {
    const used = [this.#usedPages.get(number) ? ' md' : '', this.#usedBlobIds.get(number) ? ' blob' : ''].join('');
    const lines = [
      '=========',
      `Metadata Page Index: ${number} (${hex(number)})`,
      `Start LBA: ${this.#geometry.mdPageToLba(number)}`,
      `Blob ID: ${hex(page.id)}`,
      `Sequence: ${page.sequence}`,
      `Next: ${page.next === NONE_U32 ? 'None' : page.next}`,
      `In used bit array${this.#clean ? '' : ' (not clean: dubious)'}:${used}`,
      `CRC: ${hex(page.crc)} (${page.crc === pageCrc(page.bytes) ? 'OK' : 'Mismatch'})`,
    ];
    for (const descriptor of descriptorsOf(page.view)) lines.push(...this.#descriptorLines(page, descriptor));
    return `${lines.join('\n')}\n`;
  }

  #descriptorLines(page: MdPageView, found: Descriptor): string[] {
    const { type, payloadAt, payloadBytes, fits } = found;
    if (type > DESCRIPTOR.EXTENT_PAGE) return [`Unknown descriptor type ${type}`];
    if (!fits) return [`Malformed descriptor of type ${type}: ${payloadBytes} bytes reach past the page`];
    switch (type) {
      case DESCRIPTOR.EXTENT_RLE:
        return runLines(page.view, payloadAt, payloadBytes);
      case DESCRIPTOR.EXTENT_PAGE:
        return extentPageLines(page.view, payloadAt, payloadBytes);
      case DESCRIPTOR.FLAGS:
        return flagLines(page.view, payloadAt, payloadBytes);
      case DESCRIPTOR.EXTENT_TABLE:
        return this.#tableLines(page.view, payloadAt, payloadBytes);
      default:
        return this.#xattrLines(page, payloadAt, payloadBytes, type === DESCRIPTOR.XATTR ? 'XATTR' : 'XATTR_INTERNAL');
    }
  }

  #tableLines(view: DataView, payloadAt: number, payloadBytes: number): string[] {
    const table = decodeExtentTable(view, payloadAt, payloadBytes);
    if (!table) return ['Malformed extent table'];
    const pages = table.entries.filter((entry) => entry.page !== 0);
    const place = (page: MdPage) => `at LBA ${this.#geometry.mdPageToLba(page)}`;
    const lines = pages.map(({ page, count }) => {
      return `\tExtent page: ${String(page).padStart(5)} length ${String(count).padStart(3)} ${place(page)}`;
    });
    return ['Extent table:', ...lines];
  }

  #xattrLines(page: MdPageView, payloadAt: number, payloadBytes: number, label: string): string[] {
    const xattr = decodeXattr(page.bytes, page.view, payloadAt, payloadBytes);
    if (!xattr) return [`Malformed ${label}`];
    const { printXattr, printText } = this.#printers;
    const lines = [
      `${label}: name = "${printText(xattr.name)}"`,
      `       value = "${printXattr(xattr.name, xattr.value)}"`,
    ];
    for (let at = 0; at < xattr.value.length; at += 16) {
      const bytes = Array.from(xattr.value.subarray(at, at + 16), (byte) => `${byte.toString(16).padStart(2, '0')} `);
      lines.push(`               ${bytes.join('')}`);
    }
    return lines;
  }
}

function runLines(view: DataView, payloadAt: number, payloadBytes: number): string[] {
  const runs = decodeExtentRle(view, payloadAt, payloadBytes);
  if (!runs) return ['Malformed extents'];
  return runs.map(({ first, length }) => {
    return `${first === 0 ? 'Unallocated Extent - ' : `Allocated Extent - Start: ${first}`} Length: ${length}`;
  });
}

function extentPageLines(view: DataView, payloadAt: number, payloadBytes: number): string[] {
  const extent = decodeExtentPage(view, payloadAt, payloadBytes);
  if (!extent) return ['Malformed extent page'];
  return Array.from({ length: extent.clusterCount }, (_, at) => {
    const cluster = extent.clusterAt(at);
    return cluster === 0 ? 'Unallocated Extent' : `Allocated Extent - Start: ${cluster}`;
  });
}

/** Bits with a name: a flag, or one value of a field of several bits. */
interface NamedBits {
  mask: bigint;
  value: bigint;
  name: string;
}

const flag = (value: bigint, name: string): NamedBits => ({ mask: value, value, name });
const field = (mask: bigint, value: bigint, name: string): NamedBits => ({ mask, value, name });
const INVALID_BITS = [
  flag(1n, 'SPDK_BLOB_THIN_PROV'),
  flag(2n, 'SPDK_BLOB_INTERNAL_XATTR'),
  flag(4n, 'SPDK_BLOB_EXTENT_TABLE'),
];
const DATA_RO_BITS = [flag(1n, 'SPDK_BLOB_READ_ONLY')];
const MD_RO_BITS = [
  field(3n, 0n, 'BLOB_CLEAR_WITH_DEFAULT'),
  field(3n, 1n, 'BLOB_CLEAR_WITH_NONE'),
  field(3n, 2n, 'BLOB_CLEAR_WITH_UNMAP'),
  field(3n, 3n, 'BLOB_CLEAR_WITH_WRITE_ZEROES'),
];

function flagLines(view: DataView, payloadAt: number, payloadBytes: number): string[] {
  const flags = decodeFlags(view, payloadAt, payloadBytes);
  if (!flags) return ['Malformed flags'];
  return [
    'Flags:',
    `\tinvalid: ${hex64(flags.invalid)}`,
    ...bitLines(flags.invalid, INVALID_BITS),
    `\tdata_ro: ${hex64(flags.dataRo)}`,
    ...bitLines(flags.dataRo, DATA_RO_BITS),
    `\t  md_ro: ${hex64(flags.mdRo)}`,
    ...bitLines(flags.mdRo, MD_RO_BITS),
  ];
}

function bitLines(flags: bigint, named: readonly NamedBits[]): string[] {
  let covered = 0n;
  const lines: string[] = [];
  for (const { mask, value, name } of named) {
    if ((mask & flags) !== value) continue;
    const detail = mask === value ? '' : ` (mask ${hex(mask)} value ${hex(value)})`;
    lines.push(`\t\t ${hex64(value)} ${name}${detail}`);
    covered |= mask;
  }
  const rest = flags & ~covered;
  if (rest !== 0n) lines.push(`\t\t ${hex64(rest)} Unknown`);
  return lines;
}

function hex(value: number | bigint): string {
  return `0x${value.toString(16)}`;
}

function hex64(value: bigint): string {
  return `0x${value.toString(16).padStart(16, '0')}`;
}

/** Converts bytes to text, one character per byte. */
export function bytesToText(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}

function untilZero(text: string): string {
  const end = text.indexOf('\0');
  return end < 0 ? text : text.slice(0, end);
}
