/**
 * The baseline of benchmarks that have none, for `--check`: a fixed piece of work in JavaScript that computes and
 * accesses memory by turns. A ratio to it says little by itself, but hardly depends on how fast the machine is.
 */

import type { Side } from './benchmark.js';

/** 16 MiB: more than the caches of most processors hold. */
const WORDS = new Uint32Array(4 << 20);
const STEPS = 20_000;
const STRIDE = 0x9e37_79b1;

function run(): number {
  let at = 1;
  let sum = 0;
  for (let step = 0; step < STEPS; step++) {
    at = Math.imul(at ^ (at >>> 15), STRIDE) + step;
    const index = (at >>> 0) & (WORDS.length - 1);
    WORDS[index] += step;
    sum = (sum + WORDS[index]) | 0;
  }
  return sum;
}

/** A call of the yardstick counts as one call of the subject, however many operations the subject executes in it. */
export const YARDSTICK: Side = { run };
