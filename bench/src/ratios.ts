/**
 * Ratios of subject speed to baseline speed that an earlier run has found, and the comparison of a later run with them.
 * Both sides of a ratio are measured by turns in the same process. So a ratio can be compared between machines, and
 * between an idle and a busy hour; a time cannot.
 */

import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Quartiles } from './statistics.js';

/** `busy`: beside other processes that leave no processor idle. */
export type Load = 'idle' | 'busy';

/** Ratios by the name of the benchmark. */
export type Ratios = Readonly<Record<string, number>>;

/** The committed ratios. */
export const RATIOS_FILE = fileURLToPath(new URL('../ratios.json', import.meta.url));

/** A benchmark is slower when three quarters of its rounds are below this part of its committed ratio. */
export const SLOWER_BELOW = 0.75;
/**
 * A benchmark is faster when three quarters of its rounds are above this multiple of its committed ratio. Then a new
 * ratio should be committed.
 */
export const FASTER_ABOVE = 1.4;

export type Verdict = 'same' | 'slower' | 'faster' | 'new';

/** Compares the quartiles of a benchmark's rounds with its committed ratio. Returns `new` if there is no such ratio. */
export function judge(now: Quartiles, committed: number | undefined): Verdict {
  if (committed === undefined) return 'new';
  if (now.high < committed * SLOWER_BELOW) return 'slower';
  return now.low > committed * FASTER_ABOVE ? 'faster' : 'same';
}

/** The committed ratios for a load. Throws if the file cannot be read or is not JSON. */
export function committedRatios(load: Load, file = RATIOS_FILE): Ratios {
  const all = JSON.parse(readFileSync(file, 'utf8')) as Partial<Record<Load, Ratios>>;
  return all[load] ?? {};
}

/**
 * Replaces the committed ratios of the given benchmarks for a load. Those of other benchmarks and of the other load
 * stay. Throws if the file cannot be read or written, or is not JSON.
 */
export function commitRatios(load: Load, ratios: Ratios, file = RATIOS_FILE): void {
  const all = JSON.parse(readFileSync(file, 'utf8')) as Partial<Record<Load, Ratios>>;
  const merged = Object.entries({ ...all[load], ...ratios }).map(([name, ratio]) => [name, round(ratio)]);
  writeFileSync(file, `${JSON.stringify({ ...all, [load]: Object.fromEntries(merged) }, undefined, 2)}\n`);
}

/** Three significant digits: more would be noise. */
function round(ratio: number): number {
  return Number(ratio.toPrecision(3));
}
