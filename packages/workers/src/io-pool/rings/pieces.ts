/** Large requests in pieces, and checks of offsets and lengths. */

import { BlobstoreError } from '@blobyard/core';

/** The number of pieces of a large request that are under way at once: one is copied while the worker has the other. */
export const PIECES_TOGETHER = 2;

/**
 * Executes a request of `count` units in pieces of whole units. After a failure no more pieces are begun. Rejects with
 * the error of a piece, once no piece is under way any more.
 * @param move - moves `some` units, after the first `done` of the request
 */
export async function inPieces(
  count: number,
  unitsInPiece: number,
  move: (done: number, some: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  const mover = async () => {
    while (next < count) {
      const done = next;
      next += Math.min(unitsInPiece, count - next);
      try {
        await move(done, next - done);
      } catch (error) {
        next = count;
        throw error;
      }
    }
  };
  const results = await Promise.allSettled(Array.from({ length: PIECES_TOGETHER }, mover));
  const failed = results.find((result) => result.status === 'rejected');
  if (failed) throw failed.reason;
}

export function isPlace(offset: number, count: number): boolean {
  return Number.isSafeInteger(offset) && Number.isSafeInteger(count) && offset >= 0 && count >= 0;
}

export function badPlace(offset: number, count: number): BlobstoreError {
  return new BlobstoreError('EINVAL', `offset ${offset} and length ${count} must be whole numbers from 0`);
}
