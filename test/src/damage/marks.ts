/** The high-water marks in the bytes of a store that was not closed. */

import { decodeMarks, encodeMarks } from '../../../packages/core/dist/format/marks-page.js';
import { CLUSTER_BYTES, PAGE_BYTES } from './base-image.js';

/** The positions of the parts of a store's metadata, in pages. */
export interface MarksPlace {
  /** The first page of the mask of used clusters. */
  readonly maskStart: number;
  readonly mdStartPage: number;
  readonly mdPageCount: number;
}

/**
 * Raises the high-water mark, if there is one, above all metadata pages that are not zeroes. The engine raises it
 * before it writes a page; pages above the mark are not read as long as there is a mark.
 */
export function coverWithMark(bytes: Uint8Array, place: MarksPlace, clusterBytes = CLUSTER_BYTES): void {
  const at = place.maskStart * PAGE_BYTES;
  const clusterCount = bytes.length / clusterBytes;
  const marks = decodeMarks(bytes.subarray(at, at + PAGE_BYTES), place, clusterCount);
  if (marks === undefined) return;
  const pageAt = (page: number) => (place.mdStartPage + page) * PAGE_BYTES;
  let end = place.mdPageCount;
  while (end > marks.mdPages && bytes.subarray(pageAt(end - 1), pageAt(end)).every((byte) => byte === 0)) end--;
  bytes.set(encodeMarks({ ...marks, mdPages: end }, place, clusterCount), at);
}
