/**
 * The calls that files are used by, as one object, so that a test can give a file system that moves fewer bytes than
 * asked, fails, or has no hole punching.
 */

import fs from 'node:fs';
import { createRequire } from 'node:module';
import { BlobstoreError } from '@blobyard/core';

type NodeCalls = Pick<
  typeof fs,
  | 'closeSync'
  | 'fdatasync'
  | 'fdatasyncSync'
  | 'fstatSync'
  | 'fsyncSync'
  | 'ftruncateSync'
  | 'openSync'
  | 'read'
  | 'readFileSync'
  | 'readSync'
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
  /** Punches a hole: the bytes read as zeroes, and whole file system blocks go back to the medium. */
  trimSync(fd: number, position: number, lengthBytes: number): void;
  trim(fd: number, position: number, lengthBytes: number): Promise<void>;
  /** Allows holes in a file; Windows alone wants to be asked. */
  sparseSync(fd: number): void;
}

export type FileSystem = NodeCalls & NativeCalls;

/** The bytes that a lock is on; they need not be there. */
export interface LockRange {
  readonly start: number;
  /** 0: all from `start` on. */
  readonly lengthBytes: number;
}

export interface FileLockOptions {
  /** Excludes only exclusive locks. False unless given. */
  readonly shared?: boolean;
  /** All of the file unless given; anything else needs `hasByteLocks`. */
  readonly range?: LockRange;
}

/** Locks on open files, of the same package. They are on the open file, and go with it, however its process ends. */
export interface FileLocks {
  /** Takes the lock, or answers false if another open file has one there that excludes it. */
  tryLock(fd: number, options?: FileLockOptions): boolean;
  /** Gives back what the open file has locked there. */
  unlock(fd: number, range?: LockRange): void;
}

/** Whether parts of a file can be locked: macOS locks files as a whole. */
export const hasByteLocks = process.platform === 'linux' || process.platform === 'android';

const ALL_BYTES: LockRange = { start: 0, lengthBytes: 0 };

interface NativeLocks {
  tryLock(fd: number, start: number, lengthBytes: number, options: { shared: boolean }): boolean;
  unlock(fd: number, start: number, lengthBytes: number): void;
}

/** The native calls, or why they did not load: fs-native-extensions is prebuilt for many platforms, but not for all. */
let loaded: { readonly calls: NativeCalls & NativeLocks } | { readonly failure: BlobstoreError } | undefined;

function load(): NonNullable<typeof loaded> {
  try {
    return { calls: createRequire(import.meta.url)('fs-native-extensions') };
  } catch (cause) {
    const platform = `${process.platform}-${process.arch}`;
    const message = `file locks and hole punching are missing: fs-native-extensions did not load on ${platform}`;
    return { failure: new BlobstoreError('ENOTSUP', message, { cause }) };
  }
}

/** The native calls. Throws ENOTSUP where they are missing, which for hole punching means that zeroes are written. */
function native(): NativeCalls & NativeLocks {
  const result = binding();
  if ('failure' in result) throw result.failure;
  return result.calls;
}

function binding(): NonNullable<typeof loaded> {
  loaded ??= load();
  return loaded;
}

/** The calls of this machine. */
export const nodeFileSystem: FileSystem = {
  ...fs,
  trimSync: (fd, position, lengthBytes) => native().trimSync(fd, position, lengthBytes),
  trim: async (fd, position, lengthBytes) => native().trim(fd, position, lengthBytes),
  sparseSync: (fd) => {
    // Without it the file takes all its room at once, and works.
    if (process.platform === 'win32' && 'calls' in binding()) native().sparseSync(fd);
  },
};

/** The locks of this machine. Each call throws ENOTSUP where they are missing. */
export const fileLocks: FileLocks = {
  tryLock: (fd, { shared = false, range = ALL_BYTES } = {}) =>
    native().tryLock(fd, range.start, range.lengthBytes, { shared }),
  unlock: (fd, range = ALL_BYTES) => native().unlock(fd, range.start, range.lengthBytes),
};
