/**
 * Decides which parts of a change are on the medium after a cut, if the change was not durable. In the metadata a
 * change is torn only between pages of 4096 bytes, whose writes the format assumes to be atomic; in data clusters it is
 * torn between sectors of 512 bytes.
 */

import type { Random } from '../random.js';

const PAGE_BYTES = 4096;
export const SECTOR_BYTES = 512;

/** A change: `bytes` were written, or zeroes if there are none. Offset and length are in bytes. */
export interface Change {
  readonly at: number;
  readonly length: number;
  readonly bytes: Uint8Array | undefined;
}

/**
 * Whether a piece of a change is kept, by the index of the change, the index of the piece, and the number of pieces.
 */
export type Fate = (change: number, piece: number, pieces: number) => boolean;

/** The pieces of a change that are kept. @param dataStart - the offset at which data clusters begin, in bytes */
export function* keptPieces(
  { at, length, bytes }: Change,
  dataStart: number,
  keeps: (piece: number, pieces: number) => boolean,
): Generator<Change> {
  const pieceBytes = at >= dataStart ? SECTOR_BYTES : PAGE_BYTES;
  const pieces = Math.ceil(length / pieceBytes);
  for (let piece = 0; piece < pieces; piece++) {
    if (!keeps(piece, pieces)) continue;
    const start = piece * pieceBytes;
    const end = Math.min(length, start + pieceBytes);
    yield { at: at + start, length: end - start, bytes: bytes?.subarray(start, end) };
  }
}

export function put(medium: Uint8Array, { at, length, bytes }: Change): void {
  if (bytes) medium.set(bytes, at);
  else medium.fill(0, at, at + length);
}

/** Shuffles changes in place: requests in flight may take effect in any order. */
export function shuffle<T>(random: Random, changes: T[]): T[] {
  for (let left = changes.length; left > 1; left--) {
    const index = random.below(left);
    [changes[index], changes[left - 1]] = [changes[left - 1], changes[index]];
  }
  return changes;
}

/**
 * Some cuts lose all changes, none, one, all but one, the last ones or the first ones. The others decide at random for
 * each change, or for each piece.
 */
export function chooseFate(random: Random, changes: number): Fate {
  const chosen = random.below(Math.max(1, changes));
  const tearsAt = random.below(64);
  switch (random.below(10)) {
    case 0:
      return () => false;
    case 1:
      return () => true;
    case 2:
      return (change) => change !== chosen;
    case 3:
      return (change) => change === chosen;
    case 4:
      return (change, piece, pieces) => change < chosen || (change === chosen && piece < tearsAt % (pieces + 1));
    case 5:
      return (change, piece, pieces) => change > chosen || (change === chosen && piece >= tearsAt % (pieces + 1));
    case 6:
      return () => random.below(2) === 0;
    case 7:
      return () => random.below(8) !== 0;
    default:
      return coinForEach(random, changes);
  }
}

function coinForEach(random: Random, changes: number): (change: number) => boolean {
  const of = 2 + random.below(4);
  const isLoss = random.below(2) === 0;
  const kept = Array.from({ length: changes }, () => (random.below(of) === 0) !== isLoss);
  return (change) => kept[change];
}
