/** Which file it is that a name or a descriptor leads to: names come to mean other files, by a rename for one. */

import { BlobstoreError } from '@blobyard/core';
import type { FileSystem } from './file-system.js';

/** A file that a thread of this process has open, for others to open the same. */
export interface SameFile {
  /** What `identityOf` says of it. While it is open no other file is that. */
  readonly identity: string;
  /** The number under which it is open: a way to it when its path leads elsewhere. It may be closed, or used anew, by now. */
  readonly descriptor: number;
}

/** The file that a descriptor is of, as a text: its file system, its number there, and for a block device which it is. */
export function identityOf(fs: Pick<FileSystem, 'fstatSync'>, fd: number): string {
  return identityIn(fs.fstatSync(fd, { bigint: true }));
}

/**
 * Opens a file by its path or, where that leads to another one by now, by the descriptor under which it is open (on Linux).
 * Throws ENOENT when neither leads to it, and never opens another: it is looked at before it is opened (to open a pipe would be
 * to wait for its other end), and again afterwards.
 *
 * @param label - how messages name it
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
  const found = `${label} is another file by now, or none, and the one that is meant cannot be reached`;
  throw new BlobstoreError('ENOENT', `${found}: close what has it open, and open it anew where it is`);
}

function leadsTo(fs: FileSystem, path: string, identity: string): boolean {
  try {
    return identityIn(fs.statSync(path, { bigint: true })) === identity;
  } catch {
    return false; // whatever is there cannot be the one that somebody has open
  }
}

function identityIn({ dev, ino, rdev }: { dev: bigint; ino: bigint; rdev: bigint }): string {
  return `${dev}:${ino}:${rdev}`;
}
