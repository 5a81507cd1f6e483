/**
 * The page of the high-water marks (`state/high-water.ts`). All numbers are little endian.
 *
 * | offset | bytes | field |
 * |---|---|---|
 * | 0 | 1 | 4, a mask type that no mask has: the page takes the place of the mask of used clusters |
 * | 1 | 4 | number of clusters, as in the header of a mask. Not trusted: growing an unloaded store changes it |
 * | 8 | 8 | `BYMARKS1` |
 * | 16 | 4 | clusters: none at or above this one has been given data |
 * | 20 | 4 | metadata pages: none at or above this one has been written |
 * | 24 | 4 | first page of the metadata region |
 * | 28 | 4 | pages of the metadata region |
 * | 32 | 4 | crc of bytes 8 to 31 |
 *
 * The other bytes are zeroes.
 */

import type { Geometry } from '../units/geometry.js';
import { PAGE_BYTES } from '../units/units.js';
import { crc32c } from './crc32c.js';
import { encodeMask, MASK } from './mask.js';

const MAGIC = 'BYMARKS1';
const MAGIC_AT = 8;
const CLUSTERS_AT = 16;
const MD_PAGES_AT = 20;
const MD_START_AT = 24;
const MD_COUNT_AT = 28;
const CRC_AT = 32;

export interface Marks {
  /** No cluster at or above this one has been given data. */
  readonly clusters: number;
  /** No metadata page at or above this one has been written. */
  readonly mdPages: number;
}

type Region = Pick<Geometry, 'mdStartPage' | 'mdPageCount'>;

/** @param clusterCount - the number of clusters in the store */
export function encodeMarks({ clusters, mdPages }: Marks, region: Region, clusterCount: number): Uint8Array {
  const bytes = encodeMask(MASK.MARKS, clusterCount, 1, () => undefined);
  const view = new DataView(bytes.buffer);
  for (let at = 0; at < MAGIC.length; at++) bytes[MAGIC_AT + at] = MAGIC.charCodeAt(at);
  view.setUint32(CLUSTERS_AT, clusters, true);
  view.setUint32(MD_PAGES_AT, mdPages, true);
  view.setUint32(MD_START_AT, region.mdStartPage, true);
  view.setUint32(MD_COUNT_AT, region.mdPageCount, true);
  view.setUint32(CRC_AT, crc32c(bytes, MAGIC_AT, CRC_AT - MAGIC_AT), true);
  return bytes;
}

/** True for a page of marks, of any store, that is not damaged. */
export function isMarksPage(bytes: Uint8Array): boolean {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (bytes.length !== PAGE_BYTES || bytes[0] !== MASK.MARKS) return false;
  for (let at = 0; at < MAGIC.length; at++) if (bytes[MAGIC_AT + at] !== MAGIC.charCodeAt(at)) return false;
  return view.getUint32(CRC_AT, true) === crc32c(bytes, MAGIC_AT, CRC_AT - MAGIC_AT);
}

/** The marks of a page. Undefined when it is damaged, is of another store, or holds something else. */
export function decodeMarks(bytes: Uint8Array, region: Region, clusterCount: number): Marks | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, PAGE_BYTES);
  if (!isMarksPage(bytes)) return undefined;
  if (view.getUint32(MD_START_AT, true) !== region.mdStartPage) return undefined;
  if (view.getUint32(MD_COUNT_AT, true) !== region.mdPageCount) return undefined;
  const marks = { clusters: view.getUint32(CLUSTERS_AT, true), mdPages: view.getUint32(MD_PAGES_AT, true) };
  return marks.clusters <= clusterCount && marks.mdPages <= region.mdPageCount ? marks : undefined;
}
