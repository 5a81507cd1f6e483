/** The comparison of benchmarks with the ratios of an earlier run. The figures of benchmarks are not tested. */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { BENCHMARKS } from '../../../bench/dist/catalogue.js';
import { commitRatios, committedRatios, judge } from '../../../bench/dist/ratios.js';

test('a ratio counts as slower or faster only if three quarters of the rounds are', () => {
  const around = (median: number) => ({ low: median * 0.9, median, high: median * 1.1 });
  expect(judge(around(1), 1)).toBe('same');
  expect(judge(around(0.7), 1)).toBe('same');
  expect(judge(around(0.65), 1)).toBe('slower');
  expect(judge(around(1.5), 1)).toBe('same');
  expect(judge(around(1.6), 1)).toBe('faster');
  expect(judge(around(1), undefined)).toBe('new');
});

test('committed ratios replace those of the same benchmarks and load, and no others', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'blobyard-ratios-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const file = path.join(folder, 'ratios.json');
  writeFileSync(file, '{ "idle": { "a": 1, "b": 2 } }');
  commitRatios('idle', { b: 2.34567, c: 0.0123456 }, file);
  commitRatios('busy', { a: 7 }, file);
  expect(committedRatios('idle', file)).toEqual({ a: 1, b: 2.35, c: 0.0123 });
  expect(committedRatios('busy', file)).toEqual({ a: 7 });
  expect(readFileSync(file, 'utf8').endsWith('}\n')).toBe(true);
});

test('every committed ratio belongs to an existing benchmark', () => {
  const names = new Set(BENCHMARKS.map(({ name }) => name));
  for (const load of ['idle', 'busy'] as const) {
    expect(Object.keys(committedRatios(load)).filter((name) => !names.has(name))).toEqual([]);
  }
  expect(Object.keys(committedRatios('idle')).length).toBeGreaterThan(40);
});
