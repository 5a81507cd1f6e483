/**
 * The system calls for files, as one object. Tests replace it by one that moves fewer bytes than asked, fails, or does
 * not support hole punching.
 */

import fs from 'node:fs';
import { BlobstoreError } from '@blobyard/core';
import { cFileCalls } from './c-file-calls.js';
import { requireCLibrary } from './c-library.js';
import { codeOf } from './file-errors.js';
import { fileSyncs, type Syncs } from './file-syncs.js';
import { loadOptionalPackage } from './optional-package.js';
import { loadPread, type ReadSync, smallReadsBy } from './small-reads.js';

type NodeCalls = Pick<
  typeof fs,
  | 'closeSync'
  | 'fstatSync'
  | 'ftruncateSync'
  | 'openSync'
  | 'read'
  | 'readFileSync'
  | 'readv'
  | 'readvSync'
  | 'statSync'
  | 'unlinkSync'
  | 'write'
  | 'writeSync'
  | 'writev'
  | 'writevSync'
>;

/** What the package fs-native-extensions adds to Node's `fs`; positions and lengths are in bytes. */
interface NativeCalls {
  /** Punches a hole: the bytes read as zeroes, and whole file system blocks are freed. */
  trimSync(fd: number, position: number, lengthBytes: number): void;
  trim(fd: number, position: number, lengthBytes: number): Promise<void>;
  /** Makes a file sparse, which only Windows needs. */
  sparseSync(fd: number): void;
}

/** Reads always name a buffer's range and a position. */
interface Reads {
  readonly readSync: ReadSync;
}

export type FileSystem = NodeCalls & Reads & Syncs & NativeCalls;

/** The bytes that are locked; they may lie beyond the end of the file. */
export interface LockRange {
  readonly start: number;
  /** 0 means all bytes from `start` on. */
  readonly lengthBytes: number;
}

export interface FileLockOptions {
  /** A shared lock excludes only exclusive locks. Default: false. */
  readonly shared?: boolean;
  /** Default: the whole file. A part of it needs `hasByteLocks`. */
  readonly range?: LockRange;
}

/**
 * Locks on open files, also of fs-native-extensions. The system drops a lock when the open file is closed, and when its
 * process ends in any way.
 */
export interface FileLocks {
  /** Takes the lock. Returns false if another open file holds a lock there that excludes it. Does not wait. */
  tryLock(fd: number, options?: FileLockOptions): boolean;
  /** Releases the locks that the open file holds there. */
  unlock(fd: number, range?: LockRange): void;
}

/** Whether parts of a file can be locked; macOS, for one, locks only whole files. */
export const hasByteLocks = process.platform === 'linux' || process.platform === 'android';

const ALL_BYTES: LockRange = { start: 0, lengthBytes: 0 };

interface NativeLocks {
  tryLock(fd: number, start: number, lengthBytes: number, options: { shared: boolean }): boolean;
  unlock(fd: number, start: number, lengthBytes: number): void;
}

/** The native calls, or why they did not load: fs-native-extensions is not prebuilt for all platforms. */
let loaded: { readonly calls: NativeCalls & NativeLocks } | { readonly failure: BlobstoreError } | undefined;

function load(): NonNullable<typeof loaded> {
  try {
    return { calls: loadOptionalPackage('fs-native-extensions') as NativeCalls & NativeLocks };
  } catch (cause) {
    return loadInstead(cause);
  }
}

/** fs-native-extensions did not load: the C library can do the same, where it can be called. */
function loadInstead(cause: unknown): NonNullable<typeof loaded> {
  try {
    return { calls: cFileCalls(requireCLibrary()) };
  } catch (error) {
    const isForbidden = [cause, error].some((each) => codeOf(each) === 'ERR_DLOPEN_DISABLED');
    const remedy = isForbidden
      ? 'let Node load add-ons: no --no-addons; --allow-addons with --permission'
      : `install fs-native-extensions or koffi for ${process.platform}-${process.arch}`;
    const message = `file locks are missing: ${remedy}; or give lock: 'none' (lock: false), if nobody else opens the store`;
    return { failure: new BlobstoreError('ENOTSUP', message, { cause }) };
  }
}

/** The native calls. Throws ENOTSUP where they are missing; instead of punching holes, callers then write zeroes. */
function native(): NativeCalls & NativeLocks {
  const result = binding();
  if ('failure' in result) throw result.failure;
  return result.calls;
}

function binding(): NonNullable<typeof loaded> {
  loaded ??= load();
  return loaded;
}

/** The system calls of this machine. */
export const nodeFileSystem: FileSystem = {
  ...fs,
  ...fileSyncs,
  readSync: smallReadsBy(loadPread),
  trimSync: (fd, position, lengthBytes) => native().trimSync(fd, position, lengthBytes),
  trim: async (fd, position, lengthBytes) => native().trim(fd, position, lengthBytes),
  sparseSync: (fd) => {
    // Without it the file works, but takes all its space at once.
    if (process.platform === 'win32' && 'calls' in binding()) native().sparseSync(fd);
  },
};

/** The file locks of this machine. Each call throws ENOTSUP where they are not supported. */
export const fileLocks: FileLocks = {
  tryLock: (fd, { shared = false, range = ALL_BYTES } = {}) =>
    native().tryLock(fd, range.start, range.lengthBytes, { shared }),
  unlock: (fd, range = ALL_BYTES) => native().unlock(fd, range.start, range.lengthBytes),
};
