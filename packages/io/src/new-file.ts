/** New files, so that their names are durable. */

import { constants } from 'node:fs';
import path from 'node:path';
import { codeOf, openError } from './file-errors.js';
import { type FileSystem, nodeFileSystem } from './file-system.js';

/** Permissions of a new file: owner and group may read it, the owner may write it. */
const FILE_MODE = 0o640;

/** Creates a file, and returns its descriptor. Throws the system's errors; EEXIST if there is a file. */
export function openNewFile(fs: FileSystem, filePath: string): number {
  return fs.openSync(filePath, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, FILE_MODE);
}

/**
 * Creates an empty file, unless there is a file already. Returns whether it did. Throws ENOENT if there is no such
 * folder, EPERM without permission, EIO.
 */
export function makeEmptyFile(filePath: string): boolean {
  const fs = nodeFileSystem;
  let fd: number | undefined;
  try {
    fd = openNewFile(fs, filePath);
    fs.sparseSync(fd);
    syncFolder(path.dirname(filePath), fs);
    return true;
  } catch (cause) {
    if (fd === undefined && codeOf(cause) === 'EEXIST') return false;
    throw openError(cause, `create ${filePath}`);
  } finally {
    if (fd !== undefined) fs.closeSync(fd);
  }
}

/** Makes a new directory entry durable, where the system can flush a folder. */
export function syncFolder(folder: string, fs: FileSystem): void {
  let fd: number | undefined;
  try {
    fd = fs.openSync(folder, constants.O_RDONLY);
    fs.fsyncSync(fd);
  } catch (cause) {
    if (codeOf(cause) === 'EIO') throw cause;
  } finally {
    if (fd !== undefined) fs.closeSync(fd);
  }
}
