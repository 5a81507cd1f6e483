/** Reads every page of the metadata region, and classifies it by itself. */

import type { DeviceChannel } from '../device/block-device.js';
import { MdPageView } from '../format/md-page.js';
import { BitArray } from '../shared/bit-array.js';
import { type Steps, wait } from '../steps/steps.js';
import { isMisplaced } from '../survey/page-survey.js';
import type { Geometry } from '../units/geometry.js';
import { blobIdOfPage, type MdPage, PAGE_BYTES } from '../units/units.js';

const BATCH_PAGES = 256;

/** Sets of pages, by their number in the region. */
export interface PageScan {
  /** Pages that are not all zeroes. */
  readonly nonZero: BitArray;
  /** Pages with a correct crc. */
  readonly sealed: BitArray;
  /** Pages with a correct crc that no writer leaves there. */
  readonly misplaced: BitArray;
  /** Pages whose id is that of their place, as in the first page of a chain; whether the crc is correct or not. */
  readonly roots: BitArray;
}

/** Reads the whole region, in order, in large batches. */
export function* scanPages(reader: PageReader): Steps<PageScan> {
  const { mdPageCount } = reader.geometry;
  const scan: PageScan = {
    nonZero: BitArray.private(mdPageCount),
    sealed: BitArray.private(mdPageCount),
    misplaced: BitArray.private(mdPageCount),
    roots: BitArray.private(mdPageCount),
  };
  for (let first = 0; first < mdPageCount; first += BATCH_PAGES) {
    const count = Math.min(BATCH_PAGES, mdPageCount - first);
    const bytes = yield* reader.readRange(first as MdPage, count);
    for (let at = 0; at < count; at++) classify(scan, new MdPageView(bytes, at * PAGE_BYTES), (first + at) as MdPage);
    yield undefined;
  }
  return scan;
}

function classify(scan: PageScan, page: MdPageView, number: MdPage): void {
  if (page.isZero) return;
  scan.nonZero.set(number);
  if (page.isSealed) {
    scan.sealed.set(number);
    if (isMisplaced(page, number)) scan.misplaced.set(number);
  }
  if (page.id === blobIdOfPage(number) && page.sequence === 0) scan.roots.set(number);
}

/** Reads pages of the metadata region. */
export class PageReader {
  readonly geometry: Geometry;
  readonly #channel: DeviceChannel;

  constructor(channel: DeviceChannel, geometry: Geometry) {
    this.#channel = channel;
    this.geometry = geometry;
  }

  *read(page: MdPage): Steps<MdPageView> {
    return new MdPageView(yield* this.readRange(page, 1));
  }

  *readRange(first: MdPage, count: number): Steps<Uint8Array> {
    const bytes = new Uint8Array(count * PAGE_BYTES);
    const { geometry } = this;
    yield* wait(this.#channel.read(bytes, 0, geometry.mdPageToLba(first), count * geometry.blocksPerPage));
    return bytes;
  }
}
