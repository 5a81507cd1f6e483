/** A few of the damaged images that `npm run fuzz` makes; BLOBYARD_IMAGES says how many. */

import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import type { Choices } from '../random.js';
import type { Outcome } from './examine.js';
import { tryChosen, tryImages } from './fuzz.js';

const IMAGES = Number(process.env.BLOBYARD_IMAGES ?? 2000);

test('damaged images are refused, or set aside with all that belongs to them', { timeout: 600_000 }, () => {
  const counts = tryImages(0, IMAGES);
  // Damage that nobody sees, or stores that nobody can open any more, would be images that test nothing.
  expect(counts.refused ?? 0).toBeGreaterThan(IMAGES / 3);
  expect(counts['opened, nothing damaged'] ?? 0).toBeGreaterThan(IMAGES / 20);
});

/** An image that was found, and what was decided when it was made and examined. */
interface Known {
  readonly image: number;
  readonly outcome: Outcome;
  readonly leftovers: readonly number[];
  readonly damage: readonly number[];
}

const known: readonly Known[] = JSON.parse(
  gunzipSync(readFileSync(new URL('../../images/known-damage.json.gz', import.meta.url))).toString(),
);

/**
 * Each saw what was wrong once: the check and opening disagreed, what was set aside stood in the way, or something was worse after a
 * repair. 1411 has a super block that says that the device has smaller blocks.
 */
test.each(known)('image $image of those that were found', ({ image, outcome, leftovers, damage }) => {
  expect(tryChosen(image, new Recorded(damage), new Recorded(leftovers))).toBe(outcome);
});

/** Decides as was decided before. Once that is over, all is 0: more is done with an image than when it was found. */
class Recorded implements Choices {
  readonly #made: readonly number[];
  #at = 0;

  constructor(made: readonly number[]) {
    this.#made = made;
  }

  next(): number {
    return this.#made[this.#at++] ?? 0;
  }

  below(end: number): number {
    return this.next() % end;
  }
}
