/** The pauses between tries to replace an I/O worker. */

import { expect, test } from 'vitest';
import { Pauses } from '../../../packages/workers/dist/io-pool/pauses.js';

/** The pauses before tries that each take `eachMs`. All times are in milliseconds. */
function pausesOf(pauses: Pauses, tries: number, eachMs: number, beginMs = 0): { taken: number[]; endMs: number } {
  const taken: number[] = [];
  let nowMs = beginMs;
  for (let count = 0; count < tries; count++) {
    const pauseMs = pauses.next(nowMs);
    taken.push(pauseMs);
    nowMs += pauseMs + eachMs;
  }
  return { taken, endMs: nowMs };
}

test('pauses double, up to two seconds', () => {
  const pauses = new Pauses();
  const { taken } = pausesOf(pauses, 10, 30);
  expect(taken).toEqual([0, 50, 100, 200, 400, 800, 1600, 2000, 2000, 2000]);
});

test('pauses begin again with the shortest one ten seconds after the last try, and not earlier', () => {
  const pauses = new Pauses();
  const { endMs } = pausesOf(pauses, 4, 30);
  expect(pauses.next(endMs + 9_000)).toBe(400);
  expect(pausesOf(pauses, 3, 30, endMs + 9_000 + 400 + 10_001).taken).toEqual([0, 50, 100]);
});
