/** A set of whole numbers, stored as ranges: time and memory follow the number of ranges, not their lengths. */

/** A part of a range that is entirely inside the set or entirely outside. */
export interface RangePart {
  readonly start: number;
  readonly count: number;
  readonly isInside: boolean;
}

interface Range {
  readonly start: number;
  /** The first number after the range. */
  readonly end: number;
}

/** A set of whole numbers from 0 on, stored as ranges. */
export class RangeSet {
  /** In ascending order; no two overlap or touch. */
  #ranges: Range[] = [];

  /** Adds the `count` numbers from `start` on. */
  add(start: number, count: number): void {
    if (count === 0) return;
    const from = this.#firstEndingFrom(start);
    let to = from;
    let end = start + count;
    while (to < this.#ranges.length && this.#ranges[to].start <= end) end = Math.max(end, this.#ranges[to++].end);
    const first = to > from ? Math.min(start, this.#ranges[from].start) : start;
    this.#ranges.splice(from, to - from, { start: first, end });
  }

  /** True if the set has none of the `count` numbers from `start` on. */
  isDisjoint(start: number, count: number): boolean {
    const next = this.#ranges[this.#firstEndingFrom(start + 1)];
    return next === undefined || next.start >= start + count;
  }

  /** The parts of a range, in order; none when it is empty. */
  *partsOf(start: number, count: number): Generator<RangePart, void, undefined> {
    const end = start + count;
    let at = start;
    for (let index = this.#firstEndingFrom(start + 1); at < end; index++) {
      const range = this.#ranges[index] ?? { start: end, end };
      const insideFrom = Math.min(Math.max(range.start, at), end);
      if (insideFrom > at) yield { start: at, count: insideFrom - at, isInside: false };
      const insideTo = Math.min(range.end, end);
      if (insideTo > insideFrom) yield { start: insideFrom, count: insideTo - insideFrom, isInside: true };
      at = insideTo;
    }
  }

  /** The index of the first range that ends at `position` or later. */
  #firstEndingFrom(position: number): number {
    let low = 0;
    let high = this.#ranges.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#ranges[middle].end < position) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
