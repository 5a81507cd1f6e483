/**
 * Access to the image of a command. Opening a store that was not closed runs recovery, which writes. So the commands
 * open the store on a view that keeps writes in memory, and do not change a byte of the image.
 */

import { type Stats, statSync } from 'node:fs';
import { BlobstoreError, PAGE_BYTES, SuperBlock } from '@blobyard/core';
import { acquireStoreLock, FileDevice, OverlayDevice, type StoreLock } from '@blobyard/io';
import { note } from './output.js';

/** The block length of the view, in bytes. It divides the io units of every store. */
export const BLOCK_BYTES = 512;

/** A locked image. */
export interface Image {
  readonly path: string;
  readonly sizeBytes: number;
  readonly superBlock: SuperBlock;
}

/** Opens a view of an image. Writes to it stay in memory, and are lost when it is closed. */
export function openView(path: string): OverlayDevice {
  return new OverlayDevice(FileDevice.open({ path, blockLengthBytes: BLOCK_BYTES, readOnly: true }));
}

/** Opens a view of an image, calls `use`, and closes the view. */
export async function withView<T>(path: string, use: (view: OverlayDevice) => Promise<T>): Promise<T> {
  const view = openView(path);
  try {
    return await use(view);
  } finally {
    await view.close();
  }
}

/**
 * Calls `look` while the image is locked against writers.
 * @throws EBUSY, naming the process, if another one has the store open; ENOENT, EPERM or EINVAL if the image cannot be
 * read
 */
export async function whileLocked<T>(path: string, look: () => Promise<T>): Promise<T> {
  requireMedium(path);
  const lock = lockIfPossible(path);
  try {
    return await look();
  } finally {
    lock?.release();
  }
}

/**
 * Same as `whileLocked`; `look` gets the super block of the image, which has not been validated. Also throws EILSEQ if
 * the image is too short for a super block.
 */
export function readImage<T>(path: string, look: (image: Image) => Promise<T>): Promise<T> {
  return whileLocked(path, async () => look(await withView(path, (view) => imageOf(path, view))));
}

/**
 * Throws ENOENT if there is no file, EINVAL if it is neither a regular file nor a block device. Opening a pipe, for
 * example, would wait for its other end.
 */
export function requireMedium(path: string): void {
  let stats: Stats | undefined;
  try {
    stats = statSync(path);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR')
      throw new BlobstoreError('ENOENT', `there is no file ${path}: check the path`, { cause });
    return; // opening the file reports the error
  }
  if (stats.isDirectory())
    throw new BlobstoreError('EINVAL', `${path} is a folder: give a file or block device with a store`);
  if (stats.isFile() || stats.isBlockDevice()) return;
  throw new BlobstoreError('EINVAL', `${path} is neither a file nor a block device: give one with a store`);
}

/** Locks the image against writers. Where locks are not supported, prints a note instead. */
function lockIfPossible(path: string): StoreLock | undefined {
  try {
    return acquireStoreLock(path, { shared: true });
  } catch (error) {
    const isMissing = error instanceof BlobstoreError && (error.code === 'ENOTSUP' || error.code === 'EIO');
    if (!isMissing) throw error;
    note(`${path} cannot be locked: the output may be wrong if another process has it open (${error.message})`);
    return undefined;
  }
}

async function imageOf(path: string, view: OverlayDevice): Promise<Image> {
  const sizeBytes = view.blockCount * view.blockLengthBytes;
  if (sizeBytes < PAGE_BYTES)
    throw new BlobstoreError('EILSEQ', `${path} holds no store: it has only ${sizeBytes} bytes`);
  const superBlock = new SuperBlock();
  await view.openChannel().read(superBlock.bytes, 0, 0, PAGE_BYTES / BLOCK_BYTES);
  return { path, sizeBytes, superBlock };
}
