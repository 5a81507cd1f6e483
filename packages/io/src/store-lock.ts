/**
 * The lock that lets one process at a time have a store. It ends with its holder, however that ends.
 *
 * *What is locked* is the file of the store itself: a lock beside it would miss the same file under another name, and
 * could be deleted. The lock belongs to the open file (on Linux an "open file description lock" over all of it), so the
 * kernel drops it when the process dies, and another descriptor of the same process is refused like a stranger's. It is
 * advisory: it keeps out those who ask, among them qemu's tools. A block device is opened exclusively as well (O_EXCL),
 * which the kernel knows under all of its names, and refuses while it is mounted.
 *
 * *Who holds it* stands in a note, for the message that the second one gets: `PATH.lock` beside the file, or
 * `blobyard-block-MAJOR-MINOR.lock` in /run/lock or the folder for temporary files, if the store is a block device. The
 * note is locked too while it is true, because the text of a holder that was killed stays:
 *
 *     holder   lock the store → empty the note → lock the note → write it …       … delete the note → unlock the store
 *     other    the store is locked → is the note locked? then it is true; if not, it is old, or not written yet
 *
 * A note that cannot be written or read only costs the message its names.
 *
 * *Threads* of the process that use the store hold shares of its lock, so that it outlives the one that took it while they live:
 * see `store-share.ts`.
 *
 * *Who only reads* takes the lock together with others who do. Such a lock asks for no more than the right to read, and
 * leaves no note: nothing is written for it anywhere.
 */

import fs, { constants } from 'node:fs';
import os from 'node:os';
import { BlobstoreError } from '@blobyard/core';
import { codeOf, openError, withoutPath } from './file-errors.js';
import { identityOf } from './file-identity.js';
import { fileLocks, hasByteLocks } from './file-system.js';
import { deviceNumbers } from './medium-size.js';
import { checkText } from './option-checks.js';
import { chooseShareWindow, SHARES_FROM, windowRange } from './store-share.js';

/** Who has a store. */
export interface StoreLockHolder {
  readonly pid: number;
  readonly host: string;
  /** When the lock was taken: ISO 8601, UTC. */
  readonly since: string;
}

export interface StoreLockOptions {
  /** Only keeps out who writes: others may have it shared, too. False unless given. */
  readonly shared?: boolean;
}

/** A lock that is held, until `release` or the end of the process. */
export interface StoreLock {
  /** The file that is locked, with symbolic links resolved. */
  readonly path: string;
  /** Which file that is: the `identity` of a device that is open on it. */
  readonly identity: string;
  /** Where other threads of this process take their shares of the lock; undefined where there are none. */
  readonly shareWindow: number | undefined;
  /**
   * Gives the store free. A second call does nothing. Any thread that has the object; closing the device first is the
   * caller's part.
   */
  release(): void;
}

/** A reader of the note has it locked for microseconds; after so many tries the note is done without. */
const NOTE_ATTEMPTS_MAX = 100;
const NOTE_BYTES_MAX = 4096;
const NOTE_FILE_MODE = 0o644;
/** Folders for the notes of block devices: /dev is no place for them. The first that can be written is used. */
const NOTE_FOLDERS = ['/run/lock', os.tmpdir()];
/** The folder may be everybody's: a link that someone has put there must not be followed, nor a pipe waited for. */
const CAUTIOUS = (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);

/**
 * Takes the lock of the store in a file or block device. Throws EBUSY, naming the holder, if someone has it, this
 * process included, or if threads still have shares of a lock whose taker has ended; ENOENT or EPERM if the file cannot be opened for writing, or for reading if that is all that is wanted;
 * ENOTSUP on platforms without such locks.
 */
export function acquireStoreLock(devicePath: string, { shared = false }: StoreLockOptions = {}): StoreLock {
  const target = lockTarget(devicePath);
  const fd = openTarget(target, shared ? constants.O_RDONLY : constants.O_RDWR);
  let locked: Pick<StoreLock, 'identity' | 'shareWindow'>;
  try {
    locked = { identity: identityOf(fs, fd), shareWindow: lockAll(target, fd, shared) };
  } catch (cause) {
    fs.closeSync(fd);
    throw openError(cause, `lock ${target.given}`);
  }
  const removeNote = shared ? undefined : writeNote(target);
  let isHeld = true;
  return {
    path: target.path,
    ...locked,
    release() {
      if (!isHeld) return;
      isHeld = false;
      removeNote?.(); // while the store is still locked, so that it cannot be the next holder's note that goes
      fs.closeSync(fd);
    },
  };
}

/** Locks the file; answers the window in which shares of an exclusive lock can be taken, where there are any. Throws EBUSY. */
function lockAll(target: LockTarget, fd: number, shared: boolean): number | undefined {
  if (!hasByteLocks) {
    if (!fileLocks.tryLock(fd, { shared })) throw busyError(target);
    return undefined;
  }
  const isFirst = fileLocks.tryLock(fd, { shared, range: { start: 0, lengthBytes: SHARES_FROM } });
  if (!isFirst) throw busyError(target);
  if (!fileLocks.tryLock(fd, { shared, range: { start: SHARES_FROM, lengthBytes: 0 } })) throw orphanedError(target);
  if (shared) return undefined;
  const window = chooseShareWindow();
  fileLocks.unlock(fd, windowRange(window));
  return window;
}

/** Who has the store, as far as a note tells; undefined if nobody does, or its holder could not write a note. */
export function storeLockHolder(devicePath: string): StoreLockHolder | undefined {
  return readNote(lockTarget(devicePath));
}

interface LockTarget {
  readonly path: string;
  /** The path as it was given, for messages. */
  readonly given: string;
  readonly isBlockDevice: boolean;
  /** Where the note is or could be, the best first. */
  readonly notePaths: readonly string[];
}

function lockTarget(devicePath: string): LockTarget {
  checkText('the path of a store', devicePath);
  try {
    const path = fs.realpathSync(devicePath);
    const stats = fs.statSync(path);
    if (!stats.isBlockDevice()) return { path, given: devicePath, isBlockDevice: false, notePaths: [`${path}.lock`] };
    const { major, minor } = deviceNumbers(stats.rdev);
    const note = `blobyard-block-${major}-${minor}.lock`;
    return {
      path,
      given: devicePath,
      isBlockDevice: true,
      notePaths: NOTE_FOLDERS.map((folder) => `${folder}/${note}`),
    };
  } catch (cause) {
    throw openError(cause, `lock ${devicePath}`);
  }
}

function openTarget(target: LockTarget, access: number): number {
  try {
    return fs.openSync(target.path, access | (target.isBlockDevice ? constants.O_EXCL : 0));
  } catch (cause) {
    throw codeOf(cause) === 'EBUSY' ? busyError(target, cause) : openError(cause, `lock ${target.given}`);
  }
}

function busyError(target: LockTarget, cause?: unknown): BlobstoreError {
  const holder = readNote(target);
  return new BlobstoreError('EBUSY', `the store in ${target.given} is in use by ${describeHolder(target, holder)}`, {
    cause: withoutPath(cause),
  });
}

/** Only shares are held: the lock that they are of has gone with its taker. */
function orphanedError(target: LockTarget): BlobstoreError {
  const holders = 'threads that were attached to it when the thread that had opened it ended';
  const advice = 'detach them or end them; each also lets go when it finds that the store has failed';
  return new BlobstoreError('EBUSY', `the store in ${target.given} is in use by ${holders}: ${advice}`);
}

function describeHolder(target: LockTarget, holder: StoreLockHolder | undefined): string {
  if (holder === undefined) {
    const orMounted = target.isBlockDevice ? ', or mounted' : '';
    return `another process that has left no name${orMounted}; end that use first`;
  }
  const isHere = holder.host === os.hostname();
  if (isHere && holder.pid === process.pid) {
    return `this very process (pid ${holder.pid}) since ${holder.since}; close it there before it is opened again`;
  }
  return `process ${holder.pid}${isHere ? '' : ` on ${holder.host}`} since ${holder.since}; close it there first`;
}

/** Writes who has the store. Answers the function that removes the note, or undefined if there is none. */
function writeNote(target: LockTarget): (() => void) | undefined {
  const holder: StoreLockHolder = { pid: process.pid, host: os.hostname(), since: new Date().toISOString() };
  for (const notePath of target.notePaths) {
    let fd: number | undefined;
    try {
      fd = fs.openSync(notePath, constants.O_RDWR | constants.O_CREAT | CAUTIOUS, NOTE_FILE_MODE);
      fs.ftruncateSync(fd, 0);
      if (!lockPersistently(fd)) throw new Error('the note is locked');
      fs.writeSync(fd, `${JSON.stringify(holder)}\n`, 0);
      const locked = fd;
      return () => removeNote(notePath, locked);
    } catch {
      if (fd !== undefined) fs.closeSync(fd);
    }
  }
  return undefined;
}

function lockPersistently(fd: number): boolean {
  for (let attempt = 0; attempt < NOTE_ATTEMPTS_MAX; attempt++) if (fileLocks.tryLock(fd)) return true;
  return false;
}

function removeNote(notePath: string, fd: number): void {
  try {
    fs.unlinkSync(notePath);
  } catch {
    // Somebody else has tidied up, or the note stays: without its lock it is known to be old.
  } finally {
    fs.closeSync(fd);
  }
}

/** The holder that a note names, if the note is there and true. */
function readNote(target: LockTarget): StoreLockHolder | undefined {
  for (const notePath of target.notePaths) {
    let fd: number | undefined;
    try {
      fd = fs.openSync(notePath, constants.O_RDONLY | CAUTIOUS);
      if (fileLocks.tryLock(fd, { shared: true })) continue;
      const text = Buffer.alloc(NOTE_BYTES_MAX);
      const length = fs.readSync(fd, text, 0, NOTE_BYTES_MAX, 0);
      return parseHolder(JSON.parse(text.toString('utf8', 0, length)));
    } catch {
      // No note, or one that is being written: nothing is known.
    } finally {
      if (fd !== undefined) fs.closeSync(fd);
    }
  }
  return undefined;
}

function parseHolder(value: unknown): StoreLockHolder | undefined {
  const { pid, host, since } = (value ?? {}) as Partial<Record<keyof StoreLockHolder, unknown>>;
  const isHolder = typeof pid === 'number' && typeof host === 'string' && typeof since === 'string';
  return isHolder ? { pid, host, since } : undefined;
}
