/** Some of the damaged images that `npm run fuzz` makes. The environment variable BLOBYARD_IMAGES sets their number. */

import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import type { Choices } from '../random.js';
import type { Outcome } from './examine.js';
import { tryChosen, tryImages } from './fuzz.js';

const IMAGES = Number(process.env.BLOBYARD_IMAGES ?? 2000);

test('damaged images are refused, or opened with the damaged blobs set aside', { timeout: 600_000 }, () => {
  const counts = tryImages(0, IMAGES);
  // If all damage went unnoticed, or no store could be opened any more, the images would test nothing.
  expect(counts.refused ?? 0).toBeGreaterThan(IMAGES / 3);
  expect(counts['opened, nothing damaged'] ?? 0).toBeGreaterThan(IMAGES / 20);
});

/** An image that once found a fault, and the random numbers with which it was made and examined. */
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
 * Each of these images once found a fault: the check and the engine disagreed, a blob that was set aside blocked an
 * operation, or a repair made the store worse. By the super block of 1411, the device has smaller blocks.
 */
test.each(known)('image $image, which once found a fault, finds none', ({ image, outcome, leftovers, damage }) => {
  expect(tryChosen(image, new Recorded(damage), new Recorded(leftovers))).toBe(outcome);
});

/** Returns the recorded numbers, then 0: today more is done with an image than when its numbers were recorded. */
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
