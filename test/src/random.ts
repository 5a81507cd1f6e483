/** Random numbers that a seed and a name give: each thread has its own sequence, whatever the others do. */

import { uniformInt } from 'pure-rand/distribution/uniformInt';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import { mix } from './hash.js';

/** Where decisions come from: random numbers, or what was decided before. */
export interface Choices {
  /** A whole number from 0 to 2^32 - 1. */
  next(): number;
  /** A whole number from 0 on, below `end`, which is from 1 to 2^32. */
  below(end: number): number;
}

export class Random implements Choices {
  readonly #generator: ReturnType<typeof xoroshiro128plus>;

  /** @param name - tells sequences of one seed apart */
  constructor(seed: number, name = '') {
    let mixed = mix(seed ^ 0x5bd1_e995);
    for (const character of name) mixed = mix(mixed ^ (character.codePointAt(0) ?? 0));
    this.#generator = xoroshiro128plus(mixed);
  }

  next(): number {
    return this.#generator.next() >>> 0;
  }

  /** Throws a RangeError for an `end` that cannot be. */
  below(end: number): number {
    if (!(end >= 1)) throw new RangeError(`there is no whole number from 0 on below ${end}`);
    return uniformInt(this.#generator, 0, end - 1);
  }

  /** A number from 0 up to 1. */
  fraction(): number {
    return this.next() / 2 ** 32;
  }
}

/** Options by which an asynchronous device shuffles what is under way, as a seed decides. */
export function shuffled(seed: number): { random: () => number } {
  const random = new Random(seed, 'shuffled');
  return { random: () => random.fraction() };
}
