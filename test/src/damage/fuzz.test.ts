/** A few of the damaged images that `npm run fuzz` makes; BLOBYARD_IMAGES says how many. */

import { expect, test } from 'vitest';
import { tryImage, tryImages } from './fuzz.js';

const IMAGES = Number(process.env.BLOBYARD_IMAGES ?? 2000);

test('damaged images are refused, or set aside with all that belongs to them', { timeout: 600_000 }, () => {
  const counts = tryImages(0, IMAGES);
  // Damage that nobody sees, or stores that nobody can open any more, would be images that test nothing.
  expect(counts.refused ?? 0).toBeGreaterThan(IMAGES / 3);
  expect(counts['opened, nothing damaged'] ?? 0).toBeGreaterThan(IMAGES / 20);
});

/** They saw what was wrong once: where the check and opening disagreed, or what was set aside stood in the way. */
test.each([26_742, 78_455, 82_793])('image %i', (image) => {
  expect(() => tryImage(image, false)).not.toThrow();
});

/** These did when every image was repaired, too, and read before and after: something was worse then. */
test.each([13, 32, 350, 571, 675, 913, 1219, 10_218, 100_059])('image %i, repaired', (image) => {
  expect(() => tryImage(image)).not.toThrow();
});

test('image 1411, whose super block says that the device has smaller blocks', () => {
  expect(tryImage(1411)).toBe('no store');
});
