/**
 * Keeps writes to one blob from losing each other's bytes.
 *
 * A device writes whole io units. To write a part of one, the rest of it is read first, and written back:
 *
 *     unaligned write     reads unit 7 … … … … … … … … … … … writes unit 7 with its own bytes in it
 *     another write                  … writes unit 7 …                      and its bytes are gone
 *
 * So a write that has edges wants these io units for itself, from its read until it is done; all other io units that writes
 * touch they share, and aligned writes never wait for each other, even where they overlap. Each write gets a turn, and waits
 * for the earlier turns that it conflicts with: a later one never overtakes it, so that nobody starves, and because nobody
 * waits for a later one, there is no deadlock.
 */

import { BlobstoreError } from '@blobyard/core';
import type { ByteSpan } from './byte-span.js';

/** The io units of a write, from its beginning to its end. */
export interface WriteTurn {
  readonly first: number;
  readonly end: number;
  /** Io units that it wants for itself; -1: none. */
  readonly head: number;
  readonly tail: number;
  /** It wants all of its io units for itself. */
  readonly isAlone: boolean;
  /** Earlier turns that it still waits for. */
  blockers: number;
  /** Later turns that wait for it; made when there is one. */
  followers: WriteTurn[] | undefined;
  /** It has read its edges, or is about to, and has not written them yet. */
  holdsEdges: boolean;
  start: (() => void) | undefined;
  /** The turns that were taken right before and after it, of those that have not ended. */
  before: WriteTurn | undefined;
  after: WriteTurn | undefined;
}

/** The io units of a write that begins now. */
type WriteSpan = Pick<ByteSpan, 'first' | 'end' | 'head' | 'tail'>;

export class WriteOrder {
  readonly #isElsewhere: boolean;
  /** Turns that have not ended, as a list: every write goes in and out. */
  #oldest: WriteTurn | undefined;
  #newest: WriteTurn | undefined;
  /** Turns that want something for themselves: without any, nobody needs to look at the others. */
  #exclusiveCount = 0;
  /** Turns that hold edges. */
  #holdingCount = 0;

  /** @param isElsewhere - writes are done on other threads: they go on while this thread is in a synchronous write */
  constructor(isElsewhere = false) {
    this.#isElsewhere = isElsewhere;
  }

  /** Takes a turn. Wait for `whenReady` if it has blockers, and end it by `leave`, whatever happens. */
  enter(span: WriteSpan, isAlone = false): WriteTurn {
    const { first, end, head, tail } = span;
    const turn = newTurn(first, end, head, tail, isAlone);
    const isExclusive = wantsForItself(turn);
    if (isExclusive || this.#exclusiveCount > 0) {
      for (let earlier = this.#oldest; earlier !== undefined; earlier = earlier.after) {
        if (!conflict(earlier, turn)) continue;
        earlier.followers ??= [];
        earlier.followers.push(turn);
        turn.blockers++;
      }
    }
    if (isExclusive) this.#exclusiveCount++;
    this.#append(turn);
    return turn;
  }

  /** True while nobody wants anything for himself: a write without edges that is over in the same call needs no turn. */
  get isUnhindered(): boolean {
    return this.#exclusiveCount === 0;
  }

  /** A turn for a write without edges, if nobody wants anything for himself: then it need not wait. */
  enterUnhindered(first: number, end: number): WriteTurn | undefined {
    if (this.#exclusiveCount > 0) return undefined;
    const turn = newTurn(first, end, -1, -1, false);
    this.#append(turn);
    return turn;
  }

  /** Resolves when no earlier turn is in the way; nothing to wait for, undefined. */
  whenReady(turn: WriteTurn): Promise<void> | undefined {
    if (turn.blockers === 0) return undefined;
    return new Promise((resolve) => {
      turn.start = resolve;
    });
  }

  /** From here on until `leave`, the turn's edges are in memory, and a synchronous write to them would be lost. */
  holdEdges(turn: WriteTurn): void {
    if (turn.holdsEdges) return;
    turn.holdsEdges = true;
    this.#holdingCount++;
  }

  /** True while a turn holds edges: a synchronous write has to look whether they are its own. */
  get isHeld(): boolean {
    return this.#holdingCount > 0;
  }

  leave(turn: WriteTurn): void {
    this.#remove(turn);
    if (wantsForItself(turn)) this.#exclusiveCount--;
    if (turn.holdsEdges) this.#holdingCount--;
    if (turn.followers === undefined) return;
    for (const follower of turn.followers) {
      follower.blockers--;
      if (follower.blockers === 0) follower.start?.();
    }
  }

  /**
   * EBUSY when a synchronous write to these io units would have to wait: for one that has their bytes in memory, or, where it
   * has edges itself, for one that another thread may write to them after they were read here.
   */
  requireNoneHeld(span: WriteSpan): void {
    const readsEdges = this.#isElsewhere && (span.head >= 0 || span.tail >= 0);
    if (this.#holdingCount === 0 && !readsEdges) return;
    for (let turn = this.#oldest; turn !== undefined; turn = turn.after) {
      const holds = turn.holdsEdges && touchesOwn(turn, span.first, span.end);
      if (!holds && !(readsEdges && turn.blockers === 0 && coversEdge(turn, span))) continue;
      const reason = `a write to these bytes, or beside them, in io units ${turn.first} to ${turn.end - 1}, is under way`;
      throw new BlobstoreError('EBUSY', `a synchronous write would have to wait: ${reason}; use the promise form`);
    }
  }

  #append(turn: WriteTurn): void {
    turn.before = this.#newest;
    if (this.#newest === undefined) this.#oldest = turn;
    else this.#newest.after = turn;
    this.#newest = turn;
  }

  #remove(turn: WriteTurn): void {
    if (turn.before === undefined) this.#oldest = turn.after;
    else turn.before.after = turn.after;
    if (turn.after === undefined) this.#newest = turn.before;
    else turn.after.before = turn.before;
  }
}

function newTurn(first: number, end: number, head: number, tail: number, isAlone: boolean): WriteTurn {
  return {
    first,
    end,
    head,
    tail,
    isAlone,
    blockers: 0,
    followers: undefined,
    holdsEdges: false,
    start: undefined,
    before: undefined,
    after: undefined,
  };
}

/** True when a turn has an io unit that a write covers only a part of. */
function coversEdge(turn: WriteTurn, { head, tail }: WriteSpan): boolean {
  return (head >= turn.first && head < turn.end) || (tail >= turn.first && tail < turn.end);
}

function wantsForItself(turn: WriteTurn): boolean {
  return turn.isAlone || turn.head >= 0 || turn.tail >= 0;
}

function conflict(one: WriteTurn, other: WriteTurn): boolean {
  if (one.first >= other.end || other.first >= one.end) return false;
  return touchesOwn(one, other.first, other.end) || touchesOwn(other, one.first, one.end);
}

/** True when io units that a turn wants for itself lie in a range. */
function touchesOwn(turn: WriteTurn, first: number, end: number): boolean {
  if (turn.isAlone) return turn.first < end && first < turn.end;
  return (turn.head >= first && turn.head < end) || (turn.tail >= first && turn.tail < end);
}
