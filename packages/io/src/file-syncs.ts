/**
 * The calls that make a file durable. Node's permission model disables those of `fs`; then the C library's are called,
 * if add-ons are allowed. They block the thread, also in the form with a callback.
 */

import fs from 'node:fs';
import { BlobstoreError } from '@blobyard/core';
import { type CLibrary, requireCLibrary } from './c-library.js';

export interface Syncs {
  fdatasync(fd: number, callback: (error: NodeJS.ErrnoException | null) => void): void;
  fdatasyncSync(fd: number): void;
  fsyncSync(fd: number): void;
}

/** Whether `fs` may not be used for it. */
const isDisabled = (process as { permission?: object }).permission !== undefined;

let loaded: Syncs | undefined;

/**
 * Throws ENOTSUP if this process cannot make a file durable.
 * @param load - gives the C library; tests replace it
 */
export function cSyncs(load: () => CLibrary = requireCLibrary): Syncs {
  let library: CLibrary;
  try {
    library = load();
  } catch (cause) {
    const found =
      "Node's permission model (--permission) disables fdatasync, without which no store can be made durable";
    const advice = 'add --allow-addons, so that the package koffi can call it, or run without the permission model';
    throw new BlobstoreError('ENOTSUP', `${found}: ${advice}`, { cause });
  }
  const fdatasync = library.func('int fdatasync(int fd)') as (fd: number) => number;
  const fsync = library.func('int fsync(int fd)') as (fd: number) => number;
  const fdatasyncSync = (fd: number) => {
    if (fdatasync(fd) !== 0) throw library.lastError('fdatasync');
  };
  return {
    fdatasyncSync,
    fsyncSync(fd) {
      if (fsync(fd) !== 0) throw library.lastError('fsync');
    },
    fdatasync(fd, callback) {
      let failure: NodeJS.ErrnoException | null = null;
      try {
        fdatasyncSync(fd);
      } catch (error) {
        failure = error as NodeJS.ErrnoException;
      }
      setImmediate(callback, failure);
    },
  };
}

function syncs(): Syncs {
  loaded ??= isDisabled ? cSyncs() : fs;
  return loaded;
}

/** Throws ENOTSUP if this process cannot make a file durable. */
export function requireSyncs(): void {
  syncs();
}

/** The calls of this process. */
export const fileSyncs: Syncs = {
  fdatasyncSync: (fd) => syncs().fdatasyncSync(fd),
  fsyncSync: (fd) => syncs().fsyncSync(fd),
  fdatasync: (fd, callback) => syncs().fdatasync(fd, callback),
};
