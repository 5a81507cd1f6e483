/** The buffer pool of a ring client against a naive model, and the offsets of the pieces that it allocates. */

import { BlobstoreError, InvariantError } from '@blobyard/core';
import { test as fuzz } from '@fast-check/vitest';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { BufferPool } from '../../../packages/workers/dist/io-pool/rings/buffer-pool.js';

const PAGE = 4096;
const NO_PIECE = -1;

/** The number of pages of a piece with `bytes` bytes, which is a power of two. */
function pagesFor(bytes: number): number {
  let pages = 1;
  while (pages * PAGE < bytes) pages *= 2;
  return pages;
}

/** Whether there is an aligned run of free pages for a piece. */
function hasRoom(taken: readonly boolean[], pages: number): boolean {
  for (let page = 0; page + pages <= taken.length; page += pages) {
    if (!taken.slice(page, page + pages).some(Boolean)) return true;
  }
  return false;
}

const operations = fc.array(fc.record({ isRelease: fc.boolean(), number: fc.nat(1 << 20) }), { maxLength: 200 });

fuzz.prop([fc.integer({ min: 4, max: 70 }), operations])('gives pieces as a naive model does', (pageCount, list) => {
  const pool = new BufferPool(pageCount * PAGE);
  const taken = new Array<boolean>(pageCount).fill(false);
  const pieces: { piece: number; pages: number }[] = [];
  for (const { isRelease, number } of list) {
    if (isRelease && pieces.length > 0) {
      const [{ piece, pages }] = pieces.splice(number % pieces.length, 1);
      pool.release(piece);
      taken.fill(false, piece / PAGE, piece / PAGE + pages);
    } else {
      const bytes = 1 + (number % pool.pieceBytesMax);
      const pages = pagesFor(bytes);
      const piece = pool.allocate(bytes);
      expect(piece !== NO_PIECE).toBe(hasRoom(taken, pages));
      if (piece === NO_PIECE) continue;
      const page = piece / PAGE;
      expect(page % pages).toBe(0);
      expect(page + pages).toBeLessThanOrEqual(pageCount);
      expect(taken.slice(page, page + pages)).not.toContain(true);
      taken.fill(true, page, page + pages);
      pieces.push({ piece, pages });
    }
    expect(pool.freeBytes).toBe(taken.filter((isTaken) => !isTaken).length * PAGE);
  }
  for (const { piece } of pieces) pool.release(piece);
  expect(pool.freeBytes).toBe(pageCount * PAGE);
  expect(pool.allocate(pool.pieceBytesMax)).not.toBe(NO_PIECE);
});

test('the pool allocates at most a quarter of its size at once, at page boundaries', () => {
  const pool = new BufferPool(1 << 20);
  expect(pool.pieceBytesMax).toBe(1 << 18);
  expect(pool.memory.growable).toBe(true);
  expect(Array.from({ length: 5 }, () => pool.allocate(1 << 18)).at(-1)).toBe(NO_PIECE);
  expect(() => pool.allocate((1 << 18) + 1)).toThrow(InvariantError);
  expect(() => pool.allocate(0)).toThrow(InvariantError);
});

test('the pool asserts that a released piece was allocated', () => {
  const pool = new BufferPool(1 << 20);
  const piece = pool.allocate(3 * PAGE);
  expect(() => pool.release(piece + PAGE)).toThrow(InvariantError);
  pool.release(piece);
  expect(() => pool.release(piece)).toThrow(InvariantError);
});

test.each([0, PAGE, 4 * PAGE + 1, Number.NaN, 2 ** 40])('a pool of %d bytes is refused', (bytes) => {
  expect(() => new BufferPool(bytes)).toThrow(BlobstoreError);
});
