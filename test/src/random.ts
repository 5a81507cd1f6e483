/**
 * Pseudo-random numbers from a seed and a name. Each thread has a sequence of its own, independent of other threads.
 */

import { uniformInt } from 'pure-rand/distribution/uniformInt';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import { mix } from './hash.js';

/** A source of decisions: random numbers, or the recorded decisions of an earlier run. */
export interface Choices {
  /** An integer from 0 to 2^32 - 1. */
  next(): number;
  /** An integer from 0 to `end` - 1. `end` is from 1 to 2^32. */
  below(end: number): number;
}

export class Random implements Choices {
  readonly #generator: ReturnType<typeof xoroshiro128plus>;

  /** @param name - different names give different sequences for the same seed */
  constructor(seed: number, name = '') {
    let mixed = mix(seed ^ 0x5bd1_e995);
    for (const character of name) mixed = mix(mixed ^ (character.codePointAt(0) ?? 0));
    this.#generator = xoroshiro128plus(mixed);
  }

  next(): number {
    return this.#generator.next() >>> 0;
  }

  /** Throws a RangeError unless `end` is at least 1. */
  below(end: number): number {
    if (!(end >= 1)) throw new RangeError(`an integer from 0 to below ${end} was asked for; there is none`);
    return uniformInt(this.#generator, 0, end - 1);
  }

  /** A number from 0 to below 1. */
  fraction(): number {
    return this.next() / 2 ** 32;
  }
}

/** Options of an asynchronous device that completes its requests in a random order, the same for the same seed. */
export function shuffled(seed: number): { random: () => number } {
  const random = new Random(seed, 'shuffled');
  return { random: () => random.fraction() };
}
