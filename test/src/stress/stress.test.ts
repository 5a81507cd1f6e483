/** A short run of `npm run stress` in each mode; and tests of its schedule, its stamps and its checker. */

import { describe, expect, test } from 'vitest';
import { Behind, BlobHistory, FOREVER, findMoment } from './history.js';
import { dataSchedule, metadataSchedule } from './schedule.js';
import { CHANGE, type LoggedChange, STATUS } from './shared-log.js';
import { BLOCK_WORDS, putStamp, readStamp, uniform, ZEROES } from './stamp.js';
import { DEFAULTS, type StressOptions, stress } from './stress.js';

const SHORT: Omit<StressOptions, 'seed' | 'mode'> = { ...DEFAULTS, seconds: 2, threads: 2 };

describe('no read contradicts the log, with', () => {
  test.each<[string, StressOptions]>([
    ['attached threads', { ...SHORT, seed: 1, mode: 'attached' }],
    [
      'attached threads that are killed',
      { ...SHORT, seed: 2, mode: 'attached', kill: true, durability: 'process-crash' },
    ],
    ['I/O workers on a file', { ...SHORT, seed: 3, mode: 'pool', device: 'file' }],
    ['both, on a slow device', { ...SHORT, seed: 4, mode: 'mixed', device: 'slow', kill: true }],
    [
      'both, on an asynchronous device',
      { ...SHORT, seed: 5, mode: 'mixed', device: 'async', durability: 'process-crash' },
    ],
  ])('%s', { timeout: 120_000 }, async (_, options) => {
    const { findings, counts } = await stress(options);
    expect(findings).toEqual([]);
    expect(counts.operations).toBeGreaterThan(0);
  });
});

test('a seed gives the same operations each time', () => {
  const first = <T>(schedule: Generator<T>) => Array.from({ length: 100 }, () => schedule.next().value);
  expect(first(dataSchedule(1, 'a'))).toEqual(first(dataSchedule(1, 'a')));
  expect(first(dataSchedule(1, 'a'))).not.toEqual(first(dataSchedule(1, 'b')));
  expect(first(metadataSchedule(1, 'a'))).toEqual(first(metadataSchedule(1, 'a')));
  expect(first(metadataSchedule(1, 'a'))).not.toEqual(first(metadataSchedule(2, 'a')));
});

test('a stamp identifies the write of a block, also if the block has parts of two writes', () => {
  const words = new Uint32Array(BLOCK_WORDS);
  expect(readStamp(words, 0, 3)).toEqual(uniform(ZEROES));
  putStamp(words, 0, 17, 3);
  expect(readStamp(words, 0, 3)).toEqual(uniform(17));
  expect(readStamp(words, 0, 4).foreignAt).toBe(0);
  const other = new Uint32Array(BLOCK_WORDS);
  putStamp(other, 0, 18, 3);
  words.set(other.subarray(0, 100));
  expect(readStamp(words, 0, 3)).toMatchObject({ tokens: [18, 17], foreignAt: -1 });
  const bytes = new Uint8Array(words.buffer);
  bytes.set(new Uint8Array(other.buffer, 400, 5), 400); // the copy ends within a part
  expect(readStamp(words, 0, 3)).toMatchObject({ tokens: [18, 17], foreignAt: -1 });
  bytes[402] ^= 1;
  expect(readStamp(words, 0, 3).foreignAt).toBe(400);
  bytes[402] ^= 1;
  bytes[26] ^= 1;
  expect(readStamp(words, 0, 3).foreignAt).toBe(24);
});

describe('the checker', () => {
  const write = (token: number, begin: number, end: number, status: number = STATUS.DONE): LoggedChange => {
    return { kind: CHANGE.WRITE, blob: 0, first: 0, count: 2, begin, end, status, token };
  };
  const base = { contents: [], isOverZeroes: true, behind: new Behind() };
  const history = new BlobHistory(base, [write(1, 10, 20), write(2, 15, 30), write(3, 40, 50, STATUS.KILLED)], FOREVER);

  test('knows which values can be seen at which time', () => {
    expect(history.visible(0, ZEROES, 5, 6)).toBeDefined();
    expect(history.visible(0, ZEROES, 12, 14)).toBeDefined();
    expect(history.visible(0, ZEROES, 31, 32)).toBeUndefined();
    expect(history.visible(0, 1, 5, 9)).toBeUndefined();
    expect(history.visible(0, 1, FOREVER, FOREVER)).toBeDefined(); // both writes overlapped
    expect(history.visible(0, 2, FOREVER, FOREVER)).toBeDefined(); // the last one may not have taken effect
    expect(history.visible(0, 3, FOREVER, FOREVER)).toBeDefined();
    expect(history.visible(2, 1, FOREVER, FOREVER)).toBeUndefined();
  });

  test('finds a snapshot whose data existed at no moment', () => {
    const later = new BlobHistory(base, [write(1, 10, 20), write(2, 30, 40), write(3, 50, 60)], FOREVER);
    expect(findMoment([uniform(2), uniform(2)], later, 35, 55)).toBeUndefined();
    expect(findMoment([uniform(1), uniform(2)], later, 5, 100)).toBeUndefined();
    expect(findMoment([uniform(1), uniform(3)], later, 5, 100)?.text).toMatch(/never at once/);
    expect(findMoment([uniform(1), uniform(1)], later, 45, 55)?.text).toMatch(/expected write 2/);
  });
});
