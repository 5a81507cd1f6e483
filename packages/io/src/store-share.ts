/**
 * Shares of the lock of a store: they keep the file locked while threads use it, even if the thread that opened the
 * store has ended.
 *
 * The lock of a store (`store-lock.ts`) belongs to a descriptor of the thread that opened the store, and ends with that
 * thread. Other threads of the process use the file through descriptors of their own. If one of them went on writing
 * after the lock has ended, it would damage the store of the next opener. So each of them holds a *share*: an exclusive
 * lock on one byte, on the same descriptor that it writes through, so that descriptor and share end together. Far
 * beyond the data, the opener leaves a window of bytes unlocked for them:
 *
 *     byte       0 …         SHARES_FROM …    window … window + 1024    … to the end
 *     opener     exclusive   exclusive        not locked                exclusive
 *     thread     –           –                one byte, exclusive       –
 *     reader     shared      shared           shared                    shared
 *     its thread –           –                one byte, shared          –
 *
 * A new opener locks all bytes, in this order, and fails while any thread holds a share. A reader locks them shared.
 * A thread of a reader need not find out whether its reader has ended (t2 below): it cannot write, and its share keeps
 * writers out until it has noticed the end.
 * Each opener chooses its window at random, so that the windows of two openers differ. A thread that comes too late,
 * when a new opener has the file, finds the old window locked, and so cannot take a share.
 *
 * The races of a thread T with the end of its opener O and with a new opener N:
 *
 *     T: takes a share (t1)     O: its lock ends (o)     N: locks 0 … (n1)
 *     T: is 0 locked? (t2)                               N: locks SHARES_FROM … (n2), unlocks its window
 *
 * - n2 before t1: T's window is locked, and T fails. (If n2 fails because of another thread's share, N does not open
 *   the store.)
 * - t1 before n2: N fails, because T holds a share. If o comes before t2, there are two cases. T finds byte 0 unlocked,
 *   releases its share, and fails. Or T finds byte 0 locked by N, between n1 and the failing n2. T then goes on with a
 *   store that has failed. Its share keeps the file locked, and T soon notices (`attached/store-life.ts` of the
 *   workers).
 * - t2 before o: T holds its share before the lock ends. N fails until T has released it.
 *
 * This needs Linux's locks. On other systems there are no shares.
 */

import { randomInt } from 'node:crypto';
import { BlobstoreError } from '@blobyard/core';
import type { FileDevice } from './file-device.js';
import { openError } from './file-errors.js';
import { type FileLocks, fileLocks, type LockRange } from './file-system.js';

/** All windows begin here or later. Positions in a file go up to 2^63 - 1, safe integers up to 2^53 - 1. */
export const SHARES_FROM = 2 ** 52;
/** Bytes of a window, one for each share: more than a store can have channels. */
const WINDOW_BYTES = 1024;
const WINDOWS = 2 ** 32;
/** Every opener locks this byte; no share does. */
const OPENERS_BYTE: LockRange = { start: 0, lengthBytes: 1 };

/** Chooses, at random, the window for the shares of a store that is being opened. */
export function chooseShareWindow(): number {
  return SHARES_FROM + randomInt(WINDOWS) * WINDOW_BYTES;
}

/** The bytes of a window. */
export function windowRange(window: number): LockRange {
  return { start: window, lengthBytes: WINDOW_BYTES };
}

/**
 * Takes a share for the calling thread, on the descriptor of its device. The share ends when the device is closed.
 * Throws EIO when the thread that opened the store has ended.
 *
 * @param window - the `shareWindow` of the store's lock
 * @param locks - the system's file locks; tests replace them
 */
export function takeStoreShare(device: FileDevice, window: number, locks: FileLocks = fileLocks): void {
  const { descriptor, spec } = device;
  const { label = spec.path, readOnly = false } = spec;
  try {
    // An exclusive lock needs write permission. A thread that only reads need not exclude other readers.
    const isTaken = hasTaken(
      (start) => locks.tryLock(descriptor, { shared: readOnly, range: { start, lengthBytes: 1 } }),
      window,
    );
    const isOrphan = isTaken && !readOnly && locks.tryLock(descriptor, { shared: true, range: OPENERS_BYTE });
    if (isTaken && !isOrphan) return;
    if (isOrphan) locks.unlock(descriptor, OPENERS_BYTE);
    dropStoreShare(descriptor, window, locks);
  } catch (cause) {
    throw openError(cause, `lock ${label} for one more thread`);
  }
  const found = `the thread that had opened the store in ${label} has ended, and the store's lock with it`;
  throw new BlobstoreError('EIO', `${found}: open the store again, which recovers it`);
}

/**
 * Releases a share. Any thread of the process that holds the store's lock or a share: while it does, no new opener can
 * have locked the file, so the descriptor cannot hold somebody else's lock.
 *
 * @param descriptor - the descriptor of the device that the share was taken for
 */
export function dropStoreShare(descriptor: number, window: number, locks: FileLocks = fileLocks): void {
  locks.unlock(descriptor, windowRange(window));
}

function hasTaken(take: (byte: number) => boolean, window: number): boolean {
  for (let byte = window; byte < window + WINDOW_BYTES; byte++) if (take(byte)) return true;
  return false;
}
