/** Reads the pages of the metadata region that may be in use, and classifies each by itself. */

import type { MdPageView } from '../format/md-page.js';
import { BitArray } from '../shared/bit-array.js';
import type { RegionReader } from '../state/region-reader.js';
import type { Steps } from '../steps/steps.js';
import { isMisplaced } from '../survey/page-survey.js';
import { blobIdOfPage, type MdPage } from '../units/units.js';

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

/** Reads the region, in order, up to the pages in use. */
export function* scanPages(region: RegionReader): Steps<PageScan> {
  const { mdPageCount } = region.geometry;
  const scan: PageScan = {
    nonZero: BitArray.private(mdPageCount),
    sealed: BitArray.private(mdPageCount),
    misplaced: BitArray.private(mdPageCount),
    roots: BitArray.private(mdPageCount),
  };
  for (let index = yield* region.nextUsed(0); index < region.end; index = yield* region.nextUsed(index + 1)) {
    classify(scan, yield* region.anywhere(index as MdPage), index as MdPage);
  }
  return scan;
}

function classify(scan: PageScan, page: MdPageView, number: MdPage): void {
  scan.nonZero.set(number);
  if (page.isSealed) {
    scan.sealed.set(number);
    if (isMisplaced(page, number)) scan.misplaced.set(number);
  }
  if (page.id === blobIdOfPage(number) && page.sequence === 0) scan.roots.set(number);
}
