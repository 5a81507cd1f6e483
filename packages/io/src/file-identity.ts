/** Identifies the file behind a path or a descriptor: after a rename, a path leads to another file. */

import { BlobstoreError } from '@blobyard/core';
import type { FileSystem } from './file-system.js';

/** A file that a thread of this process has open, described so that other threads can open the same file. */
export interface SameFile {
  /** Its `identityOf`. No other file has the same identity while it is open. */
  readonly identity: string;
  /**
   * The descriptor under which it was open: another way to the file when its path leads elsewhere. By now the number
   * may be closed, or used for another file.
   */
  readonly descriptor: number;
}

/** The identity of the file of a descriptor: file system, inode and, for a block device, its device number. */
export function identityOf(fs: Pick<FileSystem, 'fstatSync'>, fd: number): string {
  return identityIn(fs.fstatSync(fd, { bigint: true }));
}

/**
 * Opens a file by its path or, if that leads to another file by now, through the descriptor under which it is open (on
 * Linux). Throws ENOENT when neither leads to it. The identity is checked before opening, since opening a pipe would
 * wait for its other end, and again afterwards, since the path may have been changed in between.
 *
 * @param label - the name of the file in messages
 */
export function openSameFile(
  fs: FileSystem,
  same: SameFile,
  path: string,
  label: string,
  open: (path: string) => number,
): number {
  for (const way of [path, `/proc/self/fd/${same.descriptor}`]) {
    if (!leadsTo(fs, way, same.identity)) continue;
    const fd = open(way);
    if (identityOf(fs, fd) === same.identity) return fd;
    fs.closeSync(fd);
  }
  const found = `${label} is another file by now, or missing, and the file that is open cannot be reached`;
  throw new BlobstoreError('ENOENT', `${found}: close it where it is open, and open it again under its present name`);
}

function leadsTo(fs: FileSystem, path: string, identity: string): boolean {
  try {
    return identityIn(fs.statSync(path, { bigint: true })) === identity;
  } catch {
    return false; // no file there that could be the open one
  }
}

function identityIn({ dev, ino, rdev }: { dev: bigint; ino: bigint; rdev: bigint }): string {
  return `${dev}:${ino}:${rdev}`;
}
