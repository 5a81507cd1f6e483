/**
 * The lock of a store: only one process at a time can have a store open. The kernel drops the lock when its process
 * ends in any way.
 *
 * *What is locked:* the file of the store itself. A separate lock file could be deleted, and would not protect the
 * store under another name. The lock belongs to the open file (on Linux it is an "open file description lock" over all
 * of it). So a second descriptor is refused, even in the same process. The lock is advisory: it stops only programs
 * that lock too, among them qemu's tools. A writer also opens a block device exclusively (O_EXCL), which the kernel enforces
 * under all names of the device, and refuses while it is mounted.
 *
 * *Who holds it:* the holder writes its process, host and time into a note, for the error message of the next opener.
 * The note is `PATH.lock` beside the file; for a block device it is `blobyard-block-MAJOR-MINOR.lock` in /run/lock or
 * in the folder for temporary files. A killed holder leaves its note behind, so the note itself is locked while it is
 * valid:
 *
 *     holder   lock the store → empty the note → lock the note → write it …       … delete the note → unlock the store
 *     other    the store is locked → is the note locked? yes: it is valid; no: it is old, or not written yet
 *
 * If the note cannot be written or read, the error message does not name the holder. Nothing else depends on it.
 *
 * *Threads* of the process that use the store hold shares of its lock. While they live, the file stays locked, even if
 * the thread that took the lock has ended: see `store-share.ts`.
 *
 * *Readers* take a shared lock, together with other readers. It needs only read permission, and leaves no note: nothing
 * is written for it.
 */

import fs, { constants } from 'node:fs';
import os from 'node:os';
import { BlobstoreError } from '@blobyard/core';
import { checkText } from '@blobyard/core/internal/argument-checks';
import { codeOf, openError, withoutPath } from './file-errors.js';
import { identityOf } from './file-identity.js';
import { fileLocks, hasByteLocks } from './file-system.js';
import { deviceNumbers } from './medium-size.js';
import { chooseShareWindow, SHARES_FROM, windowRange } from './store-share.js';

/** The process that holds the lock of a store. */
export interface StoreLockHolder {
  readonly pid: number;
  readonly host: string;
  /** When the lock was taken: ISO 8601, UTC. */
  readonly since: string;
}

/** Options for `acquireStoreLock`. */
export interface StoreLockOptions {
  /** Takes a shared lock, for reading: it excludes only exclusive locks. Default: false. */
  readonly shared?: boolean;
}

/** A held lock. It is held until `release` or the end of the process. */
export interface StoreLock {
  /** The path of the locked file, with symbolic links resolved. */
  readonly path: string;
  /** Identifies the locked file; equals the `identity` of a device that is open on it. */
  readonly identity: string;
  /** The position where threads of this process lock their shares; undefined where shares are not supported. */
  readonly shareWindow: number | undefined;
  /**
   * Releases the lock. A second call does nothing. Only the thread that took the lock; close the device of the store
   * first.
   */
  release(): void;
}

/**
 * Readers of the note lock it for microseconds. If the holder cannot lock it in this many attempts, it goes on without
 * a note.
 */
const NOTE_ATTEMPTS_MAX = 100;
const NOTE_BYTES_MAX = 4096;
const NOTE_FILE_MODE = 0o644;
/**
 * Folders for the notes of block devices; /dev must not hold other files. The first one that can be written is used.
 */
const NOTE_FOLDERS = ['/run/lock', os.tmpdir()];
/** Anyone may write to such a folder: do not follow a symbolic link that is there, and do not wait for a pipe. */
const CAUTIOUS = (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);

/**
 * Takes the lock of the store in a file or block device. Does not wait. Throws EBUSY, with the name of the holder, if
 * the lock is held, by another process or this one, or if threads still hold shares of a lock whose thread has ended;
 * ENOENT or EPERM if the file cannot be opened for writing (for reading, if `shared`); ENOTSUP on platforms without
 * such locks.
 */
export function acquireStoreLock(devicePath: string, { shared = false }: StoreLockOptions = {}): StoreLock {
  const target = lockTarget(devicePath);
  const fd = openTarget(target, shared);
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
      removeNote?.(); // before unlocking the store, so that it cannot delete the next holder's note
      fs.closeSync(fd);
    },
  };
}

/**
 * Locks the file. Returns the window for the shares of threads, or undefined where there are no shares. Throws
 * EBUSY.
 */
function lockAll(target: LockTarget, fd: number, shared: boolean): number | undefined {
  if (!hasByteLocks) {
    if (!fileLocks.tryLock(fd, { shared })) throw busyError(target);
    return undefined;
  }
  const isFirst = fileLocks.tryLock(fd, { shared, range: { start: 0, lengthBytes: SHARES_FROM } });
  if (!isFirst) throw busyError(target);
  if (!fileLocks.tryLock(fd, { shared, range: { start: SHARES_FROM, lengthBytes: 0 } })) throw orphanedError(target);
  const window = chooseShareWindow();
  if (!shared) fileLocks.unlock(fd, windowRange(window)); // shared locks do not exclude each other
  return window;
}

/**
 * The process that holds the exclusive lock of a store, from its note; undefined if nobody does, or if there is no
 * note. Throws ENOENT or EPERM if the file cannot be reached.
 */
export function storeLockHolder(devicePath: string): StoreLockHolder | undefined {
  return readNote(lockTarget(devicePath));
}

interface LockTarget {
  readonly path: string;
  /** The path as it was given, for messages. */
  readonly given: string;
  readonly isBlockDevice: boolean;
  /** Possible places of the note, the preferred one first. */
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

function openTarget(target: LockTarget, shared: boolean): number {
  try {
    if (shared) return fs.openSync(target.path, constants.O_RDONLY); // O_EXCL would keep other readers out
    return fs.openSync(target.path, constants.O_RDWR | (target.isBlockDevice ? constants.O_EXCL : 0));
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

/** The error when only shares are held: the thread that held the lock itself has ended. */
function orphanedError(target: LockTarget): BlobstoreError {
  const holders = 'threads that were attached to it when the thread that had opened it ended';
  const advice = 'detach them or end them; each also releases the store when it finds that the store has failed';
  return new BlobstoreError('EBUSY', `the store in ${target.given} is in use by ${holders}: ${advice}`);
}

function describeHolder(target: LockTarget, holder: StoreLockHolder | undefined): string {
  if (holder === undefined) {
    const orMounted = target.isBlockDevice ? ', or is mounted' : '';
    return `another process, which left no note${orMounted}; end that use first`;
  }
  const isHere = holder.host === os.hostname();
  if (isHere && holder.pid === process.pid) {
    return `this process (pid ${holder.pid}) since ${holder.since}; close it there before it is opened again`;
  }
  return `process ${holder.pid}${isHere ? '' : ` on ${holder.host}`} since ${holder.since}; close it there first`;
}

/** Writes the note. Returns the function that removes it, or undefined if it could not be written. */
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
    // It was deleted by somebody else, or it stays: without its lock, readers know that it is old.
  } finally {
    fs.closeSync(fd);
  }
}

/** The holder from the note, if there is a valid one. */
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
      // There is no note, or it is just being written: the holder is not known.
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
