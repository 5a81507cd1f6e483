/**
 * The values that a block may have, derived from the log of all writes. Each write took effect at some moment between
 * its begin and its end. So a value can be seen between `from` and `to` if
 *
 * - its write began before `to`, and
 * - no other write began after the end of that one, surely took effect, and ended before `from`.
 *
 * Writes that failed, or whose thread was killed, may have taken effect or not, block by block: their values can be
 * seen, but they need not have replaced any.
 */

import { BLOCKS_MAX, CHANGE, type LoggedChange, STATUS } from './shared-log.js';
import { type BlockContent, ZEROES } from './stamp.js';

/**
 * The values that were ever behind a blob, by block. They can be seen where the blob was made shorter and longer again,
 * since the new clusters there are not allocated.
 */
export class Behind {
  readonly #tokens: Set<number>[] = Array.from({ length: BLOCKS_MAX }, () => new Set());

  /** The tokens that were ever behind a block. */
  at(block: number): ReadonlySet<number> {
    return this.#tokens[block];
  }

  static of(tokens: readonly (readonly number[])[]): Behind {
    const behind = new Behind();
    tokens.forEach((each, block) => {
      for (const token of each) behind.#tokens[block].add(token);
    });
    return behind;
  }

  /** A copy, with the contents of a snapshot added. */
  with(contents: readonly BlockContent[]): Behind {
    const copy = new Behind();
    this.#tokens.forEach((tokens, block) => {
      for (const token of tokens) copy.#tokens[block].add(token);
    });
    copy.add(contents);
    return copy;
  }

  add(contents: readonly BlockContent[]): void {
    for (const [block, { tokens }] of contents.entries()) for (const token of tokens) this.#tokens[block].add(token);
  }

  has(block: number, token: number): boolean {
    return this.#tokens[block].has(token);
  }
}

/** The state of a blob at the begin of its history. */
export interface BlobBase {
  readonly behind: Behind;
  /** The contents of its blocks, from the first one on. All further blocks are zeroes. */
  readonly contents: readonly BlockContent[];
  /** True: the blob had no parent before this round, so that trimmed blocks read as zeroes. */
  readonly isOverZeroes: boolean;
}

/** The time in which a value can have been seen: after `from` and before `to`. */
export interface Visible {
  readonly from: number;
  readonly to: number;
}

/** A moment after all others. */
export const FOREVER = Number.MAX_SAFE_INTEGER;
const BEFORE_ALL = 0;

/** The changes of a block that surely took effect, by begin, each with the earliest end of it and all later ones. */
interface SureChanges {
  readonly begins: readonly number[];
  readonly earliestEnds: readonly number[];
}

export class BlobHistory {
  readonly #base: BlobBase;
  readonly #firstSnapshot: number;
  /** The changes by block, in the order of their begins. */
  readonly #changes: LoggedChange[][] = Array.from({ length: BLOCKS_MAX }, () => []);
  readonly #sure: (SureChanges | undefined)[] = [];

  /**
   * @param changes - the changes of the blob, in the order of their begins
   * @param firstSnapshot - the moment at which its first snapshot may have been made; `FOREVER` without a snapshot
   */
  constructor(base: BlobBase, changes: readonly LoggedChange[], firstSnapshot: number) {
    this.#base = base;
    this.#firstSnapshot = firstSnapshot;
    for (const change of changes) {
      const end = Math.min(BLOCKS_MAX, change.first + change.count);
      for (let block = change.first; block < end; block++) this.#changes[block].push(change);
    }
  }

  /** The time between `from` and `to` in which a part of a block can have been seen with a token; undefined: never. */
  visible(block: number, token: number, from: number, to: number): Visible | undefined {
    let first = FOREVER;
    let last = -1;
    const consider = (begin: number, end: number) => {
      if (begin >= to) return;
      const replaced = this.#replacedAt(block, end);
      if (replaced < from) return;
      first = Math.min(first, begin);
      last = Math.max(last, replaced);
    };
    if (this.#isBase(block, token)) consider(BEFORE_ALL, BEFORE_ALL);
    for (const change of this.#changes[block]) {
      if (this.#leaves(change, block, token)) consider(change.begin, change.end);
    }
    return last < 0 ? undefined : { from: first, to: last };
  }

  /** The values that a block may have between `from` and `to`, as text for messages. */
  describe(block: number, from: number, to: number): string {
    const tokens = new Set([...this.#baseTokens(block), ZEROES, ...this.#changes[block].map(({ token }) => token)]);
    const possible = [...tokens].filter((token) => this.visible(block, token, from, to) !== undefined);
    return possible.map(tokenText).join(' or ');
  }

  /** The last changes of a block that had begun before a moment, as texts for messages. */
  lastChanges(block: number, before = FOREVER): string[] {
    const begun = this.#changes[block].filter((change) => change.begin < before);
    return begun.slice(-6).map(({ kind, token, begin, end, status, first, count }) => {
      const what = Object.entries(CHANGE).find(([, value]) => value === kind)?.[0];
      const how = status === STATUS.DONE ? 'done' : status === STATUS.KILLED ? 'killed' : `errno ${status}`;
      return `${what} ${tokenText(token)} of ${count} from ${first}, ${begin} to ${end}, ${how}`;
    });
  }

  #isBase(block: number, token: number): boolean {
    if (this.#baseTokens(block).includes(token)) return true;
    return block >= this.#base.contents.length && this.#base.behind.has(block, token);
  }

  #baseTokens(block: number): readonly number[] {
    return this.#base.contents[block]?.tokens ?? [ZEROES];
  }

  /** True if a change can leave a token in a block. */
  #leaves(change: LoggedChange, block: number, token: number): boolean {
    if (change.kind === CHANGE.WRITE) return change.token === token;
    if (token === ZEROES) return true;
    // Blocks that were cut off are not allocated when the blob grows again: then they show what is behind the blob.
    return change.kind === CHANGE.SHRINK && this.#base.behind.has(block, token);
  }

  /** The earliest moment at which all values from before `after` were surely replaced. */
  #replacedAt(block: number, after: number): number {
    this.#sure[block] ??= this.#sureOf(block);
    const { begins, earliestEnds } = this.#sure[block];
    let low = 0;
    let high = begins.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (begins[middle] > after) high = middle;
      else low = middle + 1;
    }
    return low < begins.length ? earliestEnds[low] : FOREVER;
  }

  #sureOf(block: number): SureChanges {
    const sure = this.#changes[block].filter((change) => this.#isSure(change));
    const earliestEnds = sure.map(({ end }) => end);
    for (let at = earliestEnds.length - 2; at >= 0; at--) {
      earliestEnds[at] = Math.min(earliestEnds[at], earliestEnds[at + 1]);
    }
    return { begins: sure.map(({ begin }) => begin), earliestEnds };
  }

  /** Whether a change surely took effect. A trim of a blob with a parent has none where no cluster is allocated. */
  #isSure({ kind, status, end }: LoggedChange): boolean {
    if (status !== STATUS.DONE) return false;
    return kind !== CHANGE.TRIM || (this.#base.isOverZeroes && end < this.#firstSnapshot);
  }
}

export function tokenText(token: number): string {
  if (token === ZEROES) return 'zeroes';
  return `write ${token & 0x7ff_ffff} of writer ${(token >>> 27) - 1}`;
}

/**
 * Finds a moment at which all blocks of the original can have had the snapshot's values. Otherwise the contradiction.
 */
export function findMoment(
  contents: readonly BlockContent[],
  history: BlobHistory,
  begin: number,
  end: number,
): { block: number; text: string } | undefined {
  let latest = { at: begin, block: -1, what: 'the snapshot began' };
  let earliest = { at: end, block: -1, what: 'the snapshot ended' };
  for (const [block, { tokens, foreignAt }] of contents.entries()) {
    if (foreignAt >= 0) return { block, text: `byte ${foreignAt} of the block is no stamp of it` };
    for (const token of tokens) {
      const visible = history.visible(block, token, begin, end);
      if (visible === undefined) {
        const wanted = history.describe(block, begin, end);
        return { block, text: `found ${tokenText(token)}, expected ${wanted}` };
      }
      const what = `block ${block} has ${tokenText(token)}`;
      if (visible.from > latest.at) latest = { at: visible.from, block, what };
      if (visible.to < earliest.at) earliest = { at: visible.to, block, what };
    }
  }
  if (latest.at < earliest.at) return undefined;
  const text = `${latest.what}, begun at ${latest.at}, and ${earliest.what}, replaced by ${earliest.at}: never at once`;
  return { block: Math.max(latest.block, earliest.block), text };
}
