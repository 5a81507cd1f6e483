/**
 * Orders the writes to one blob, so that no write is lost.
 *
 * If the device takes only whole blocks, a write of a part of an io unit is a read-modify-write of the whole io unit.
 * Without an order, this race loses a write:
 *
 *     unaligned write     reads unit 7 … … … … … … … … … … … writes unit 7 with its own bytes in it
 *     another write                  … writes unit 7 …                      and its bytes are gone
 *
 * If the device takes any bytes, it gets only the bytes that were given, and nothing is read. Such a write causes
 * no lost write, and has no edges here. But it can be the write that gets lost: long lists of arrays are written with
 * a read-modify-write on any device.
 *
 * A write with edges has exclusive access to the io units of its edges, from its read until it is done. All other io
 * units are shared: aligned writes never wait for each other, even if they overlap. Each write gets a turn, and waits
 * for the earlier turns that it conflicts with. A later turn never overtakes an earlier one with which it conflicts, so
 * no write starves. No write waits for a later one, so there is no deadlock.
 */

import { BlobstoreError } from '@blobyard/core';
import type { ByteSpan } from './byte-span.js';

/** The io units of a write that is waiting or under way. */
export interface WriteTurn {
  readonly first: number;
  readonly end: number;
  /** The io units that it needs exclusively; -1: none. */
  readonly head: number;
  readonly tail: number;
  /** True if it needs all of its io units exclusively. */
  readonly isAlone: boolean;
  /** The number of earlier turns that it still waits for. */
  blockers: number;
  /** The later turns that wait for it. Undefined if there is none. */
  followers: WriteTurn[] | undefined;
  /** True from before its edges are read until they are written. */
  holdsEdges: boolean;
  start: (() => void) | undefined;
  /** The previous and the next turn, of those that have not ended. */
  before: WriteTurn | undefined;
  after: WriteTurn | undefined;
}

/** The io units of a write that begins now. */
type WriteSpan = Pick<ByteSpan, 'first' | 'end' | 'head' | 'tail'>;

export class WriteOrder {
  readonly #isElsewhere: boolean;
  /** The turns that have not ended, as a linked list, because every write is added and removed. */
  #oldest: WriteTurn | undefined;
  #newest: WriteTurn | undefined;
  /** The number of turns that need exclusive access. While it is 0, no write needs to look at the other turns. */
  #exclusiveCount = 0;
  /** The number of turns that hold edges. */
  #holdingCount = 0;

  /** @param isElsewhere - other threads do the writes, which continue while this thread is in a synchronous write */
  constructor(isElsewhere = false) {
    this.#isElsewhere = isElsewhere;
  }

  /** Takes a turn. The caller must await `whenReady`, and call `leave` at the end, even after an error. */
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

  /** True while no turn needs exclusive access. Then a write without edges that ends in the same call needs no turn. */
  get isUnhindered(): boolean {
    return this.#exclusiveCount === 0;
  }

  /** Takes a turn for a write without edges that need not wait. Returns undefined if a turn needs exclusive access. */
  enterUnhindered(first: number, end: number): WriteTurn | undefined {
    if (this.#exclusiveCount > 0) return undefined;
    const turn = newTurn(first, end, -1, -1, false);
    this.#append(turn);
    return turn;
  }

  /** Adds a turn without edges, made by the caller. No turn may need exclusive access (`isUnhindered`). */
  enterAs(turn: WriteTurn): void {
    this.#append(turn);
  }

  /** Resolves when no earlier turn conflicts any more. Undefined if the turn need not wait. */
  whenReady(turn: WriteTurn): Promise<void> | undefined {
    if (turn.blockers === 0) return undefined;
    return new Promise((resolve) => {
      turn.start = resolve;
    });
  }

  /** From this call until `leave`, the edges of the turn are in memory. A synchronous write to them would be lost. */
  holdEdges(turn: WriteTurn): void {
    if (turn.holdsEdges) return;
    turn.holdsEdges = true;
    this.#holdingCount++;
  }

  /** True while a turn holds edges. A synchronous write must then check whether it touches them. */
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
   * Throws EBUSY if a synchronous write to these io units would have to wait. There are two cases: another write has
   * their bytes in memory; or the synchronous write has edges itself, and another thread may write to these after this
   * thread has read them.
   */
  requireNoneHeld(span: WriteSpan): void {
    const readsEdges = this.#isElsewhere && (span.head >= 0 || span.tail >= 0);
    if (this.#holdingCount === 0 && !readsEdges) return;
    for (let turn = this.#oldest; turn !== undefined; turn = turn.after) {
      const holds = turn.holdsEdges && touchesOwn(turn, span.first, span.end);
      if (!holds && !(readsEdges && turn.blockers === 0 && coversEdge(turn, span))) continue;
      const reason = `a write to the same io units is under way (io units ${turn.first} to ${turn.end - 1})`;
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

/** Returns true if a turn includes an io unit that a write covers only partly. */
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

/** Returns true if io units that a turn needs exclusively lie in a range. */
function touchesOwn(turn: WriteTurn, first: number, end: number): boolean {
  if (turn.isAlone) return turn.first < end && first < turn.end;
  return (turn.head >= first && turn.head < end) || (turn.tail >= first && turn.tail < end);
}
