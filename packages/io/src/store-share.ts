/**
 * How the threads of a store keep its file locked, whatever becomes of the thread that has opened it.
 *
 * The lock of a store (`store-lock.ts`) goes with the thread that took it. Other threads of its process use the file by
 * descriptors of their own, and must not outlive it. So each of them holds a *share*: an exclusive lock on one byte, by the very
 * descriptor that it writes by, so that none is left without the other. Far behind the data, the opener leaves bytes for them:
 *
 *     byte       0 …         SHARES_FROM …    window … window + 1024    … to the end
 *     opener     exclusive   exclusive        left free                 exclusive
 *     thread     –           –                one of them, exclusive    –
 *     who opens  wants all of it, in this order; who reads wants it shared
 *
 * Who opens gets none of it while a share is held by anyone. The window is chosen by chance for each opening: a thread that comes
 * too late, when somebody else has the file, finds its window locked, and not one that is meant for other threads. Each way in
 * which a thread T can meet the end of its opener O and a new opener N:
 *
 *     T: takes a share (t1)     O: its lock goes (o)     N: locks 0 … (n1)
 *     T: is 0 locked? (t2)                               N: locks SHARES_FROM … (n2), opens its window
 *
 * - n2 before t1: T's window is locked (or, n1 and n2 failing for another share, it is as if there were no N). T fails.
 * - t1 before n2: N fails. o before t2: T sees that nobody has 0 locked, gives its share back, and fails; or it sees N, which is
 *   between n1 and its failing n2, and goes on with a store that is lost: its share keeps the file locked all the same, and it
 *   finds out soon (`threads/store-life.ts` of the workers).
 * - t2 before o: T has its share before the lock goes. N fails until T has given it back.
 *
 * The locks are Linux's. Elsewhere there are no shares.
 */

import { randomInt } from 'node:crypto';
import { BlobstoreError } from '@blobyard/core';
import type { FileDevice } from './file-device.js';
import { openError } from './file-errors.js';
import { type FileLocks, fileLocks, type LockRange } from './file-system.js';

/** All windows lie from here on. The largest position in a file is 2^63 - 1, the largest number that is exact here 2^53 - 1. */
export const SHARES_FROM = 2 ** 52;
/** Shares of one store: more than it can have channels. */
const WINDOW_BYTES = 1024;
const WINDOWS = 2 ** 32;
/** Locked by every opener, and never by a share. */
const OPENERS_BYTE: LockRange = { start: 0, lengthBytes: 1 };

/** A place for the shares of a store that is being opened. */
export function chooseShareWindow(): number {
  return SHARES_FROM + randomInt(WINDOWS) * WINDOW_BYTES;
}

/** The bytes of a window. */
export function windowRange(window: number): LockRange {
  return { start: window, lengthBytes: WINDOW_BYTES };
}

/**
 * Takes a share for the calling thread, on the descriptor of its device, with which it goes. Throws EIO when the store has lost
 * its opener.
 *
 * @param window - of the opener's lock
 * @param locks - the system's, for tests
 */
export function takeStoreShare(device: FileDevice, window: number, locks: FileLocks = fileLocks): void {
  const { descriptor, spec } = device;
  const { label = spec.path, readOnly = false } = spec;
  try {
    // Who cannot write cannot lock exclusively, and need not keep out others who only read.
    const isTaken = hasTaken(
      (start) => locks.tryLock(descriptor, { shared: readOnly, range: { start, lengthBytes: 1 } }),
      window,
    );
    const isOrphan = isTaken && locks.tryLock(descriptor, { shared: true, range: OPENERS_BYTE });
    if (isTaken && !isOrphan) return;
    if (isOrphan) locks.unlock(descriptor, OPENERS_BYTE);
    dropStoreShare(descriptor, window, locks);
  } catch (cause) {
    throw openError(cause, `lock ${label} for one more thread`);
  }
  const found = `the store in ${label} has lost the thread that had opened it, and its lock`;
  throw new BlobstoreError('EIO', `${found}: open it again, which recovers it`);
}

/**
 * Gives a share back. Any thread of the process, as long as the caller has the store's lock, or a share: then nobody can have
 * opened the file anew under a number that was used again.
 *
 * @param descriptor - of the device that it was taken for
 */
export function dropStoreShare(descriptor: number, window: number, locks: FileLocks = fileLocks): void {
  locks.unlock(descriptor, windowRange(window));
}

function hasTaken(take: (byte: number) => boolean, window: number): boolean {
  for (let byte = window; byte < window + WINDOW_BYTES; byte++) if (take(byte)) return true;
  return false;
}
