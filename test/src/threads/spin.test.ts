/** Polling before a sleep: the success of the last polls decides whether a wait polls. The clock is mocked. */

import { expect, test } from 'vitest';
import { Spin } from '../../../packages/workers/dist/threads/spin.js';

const LONG_MS = 1;

function spinAt(parallelism = 2) {
  const clock = { ms: 0 };
  let looks = 0;
  const spin = new Spin({ now: () => clock.ms, parallelism });
  /** One wait, for something that comes at the k-th look, or never. Returns the number of looks. */
  const wait = (at = Number.POSITIVE_INFINITY) => {
    looks = 0;
    spin.until(() => {
      looks++;
      clock.ms += LONG_MS / 1000;
      return looks >= at;
    });
    return looks;
  };
  /** Makes waits in vain until one polls again. Returns the number of waits without a poll. */
  const skipped = () => {
    let waits = 0;
    while (wait() === 1) waits++;
    return waits;
  };
  return { clock, spin, wait, skipped };
}

test('after a successful poll, the next waits poll, too', () => {
  const { wait } = spinAt();
  for (let round = 0; round < 100; round++) expect(wait(10)).toBe(10);
});

test('the more polls are in vain, the fewer waits poll, but some waits always do', () => {
  const { wait, skipped } = spinAt();
  expect(wait()).toBeGreaterThan(1);
  expect([skipped(), skipped(), skipped(), skipped()]).toEqual([3, 15, 63, 63]);
});

test('successful polls offset those in vain', () => {
  const { wait, skipped } = spinAt();
  while (skipped() < 63);
  for (let waits = 0; waits < 63; waits++) expect(wait(10)).toBe(1);
  for (let round = 0; round < 12; round++) expect(wait(10)).toBe(10);
  expect(wait()).toBeGreaterThan(1);
  expect(skipped()).toBe(3);
});

test('an event that has already come is found without a poll', () => {
  const { spin, wait, skipped } = spinAt();
  expect(wait(1)).toBe(1);
  while (skipped() < 63);
  expect(spin.until(() => true)).toBe(true);
});

test('an event found late, because the thread was descheduled, counts as not found', () => {
  const { clock, spin, skipped } = spinAt();
  let looks = 0;
  const found = spin.until(() => {
    if (++looks === 5) clock.ms += LONG_MS;
    return looks >= 5;
  });
  expect(found).toBe(true);
  expect(skipped()).toBe(3);
});

test('on a single processor no wait polls', () => {
  const { wait } = spinAt(1);
  for (let round = 0; round < 100; round++) expect(wait(10)).toBe(1);
});
