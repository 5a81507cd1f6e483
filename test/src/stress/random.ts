/** Random numbers that a seed and a name give: each thread has its own sequence, whatever the others do. */

export class Random {
  #state: number;

  /** @param name - tells sequences of one seed apart */
  constructor(seed: number, name: string) {
    let state = mix(seed ^ 0x5bd1_e995);
    for (const character of name) state = mix(state ^ (character.codePointAt(0) ?? 0));
    this.#state = state;
  }

  /** A whole number from 0 to 2^32 - 1. */
  next(): number {
    this.#state = (this.#state + 0x9e37_79b9) | 0;
    return mix(this.#state) >>> 0;
  }

  /** A whole number from 0 on, below `end`. */
  below(end: number): number {
    return this.next() % end;
  }
}

/** Every bit of the result depends on every bit of the value. */
export function mix(value: number): number {
  let mixed = value | 0;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85eb_ca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2_ae35);
  return mixed ^ (mixed >>> 16);
}
