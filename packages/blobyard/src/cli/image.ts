/**
 * The image that a command looks at. Opening a store that was not closed recovers it, and writes; so the store is opened on a
 * view whose writes stay in memory, and the image is the same afterwards, byte by byte.
 */

import { type Stats, statSync } from 'node:fs';
import { BlobstoreError, PAGE_BYTES, SuperBlock } from '@blobyard/core';
import { acquireStoreLock, FileDevice, OverlayDevice, type StoreLock } from '@blobyard/io';
import { note } from './output.js';

/** Blocks that divide the io units of every store. */
export const BLOCK_BYTES = 512;

/** An image, while nobody else has the store in it. */
export interface Image {
  readonly path: string;
  readonly sizeBytes: number;
  readonly superBlock: SuperBlock;
}

/** Opens a view of an image: what is written to it is forgotten when it is closed. */
export function openView(path: string): OverlayDevice {
  return new OverlayDevice(FileDevice.open({ path, blockLengthBytes: BLOCK_BYTES, readOnly: true }));
}

/** Does something with a view of an image. */
export async function withView<T>(path: string, use: (view: OverlayDevice) => Promise<T>): Promise<T> {
  const view = openView(path);
  try {
    return await use(view);
  } finally {
    await view.close();
  }
}

/**
 * Looks at an image while nobody writes to it.
 * @throws EBUSY somebody has the store open, who is named; ENOENT, EPERM and EINVAL where there is no image that can be read.
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

/** As `whileLocked`, with what the image's super block says, which may be anything. EILSEQ when there is no room for one. */
export function readImage<T>(path: string, look: (image: Image) => Promise<T>): Promise<T> {
  return whileLocked(path, async () => look(await withView(path, (view) => imageOf(path, view))));
}

/** Throws unless there is a file or a block device: to open a pipe, for one, would be to wait for its other end. */
export function requireMedium(path: string): void {
  let stats: Stats | undefined;
  try {
    stats = statSync(path);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR')
      throw new BlobstoreError('ENOENT', `there is no file ${path}`, { cause });
    return; // whatever it is, opening it says it
  }
  if (stats.isDirectory())
    throw new BlobstoreError('EINVAL', `${path} is a folder; a store is in a file or block device`);
  if (stats.isFile() || stats.isBlockDevice()) return;
  throw new BlobstoreError('EINVAL', `${path} is neither a file nor a block device`);
}

/** Keeps out who writes. Where there are no locks, that is only said. */
function lockIfPossible(path: string): StoreLock | undefined {
  try {
    return acquireStoreLock(path, { shared: true });
  } catch (error) {
    const isMissing = error instanceof BlobstoreError && (error.code === 'ENOTSUP' || error.code === 'EIO');
    if (!isMissing) throw error;
    note(`${path} cannot be locked: what is said of it is wrong if somebody has it open (${error.message})`);
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
