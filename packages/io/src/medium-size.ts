/**
 * The size of a file or a block device. `stat` gives the size of a file, but 0 for a block device. The size of a block
 * device is in /sys on Linux; elsewhere, reads find the last block.
 */

import type { Stats } from 'node:fs';
import { BlobstoreError } from '@blobyard/core';
import { allocateAligned } from './aligned-buffer.js';
import type { FileSystem } from './file-system.js';

/** The unit of the sizes in /sys; it does not depend on the device's block length. */
const SYS_SECTOR_BYTES = 512;

/** The size of an open file or block device, in bytes. Throws EINVAL for any other kind of file. */
export function mediumSizeBytes(fs: FileSystem, fd: number, blockLengthBytes: number): number {
  const stats = fs.fstatSync(fd);
  if (stats.isFile()) return stats.size;
  if (!stats.isBlockDevice()) {
    throw new BlobstoreError(
      'EINVAL',
      'the path names neither a regular file nor a block device: a device must be one of the two',
    );
  }
  return (
    sysSizeBytes(fs, stats) ?? probeSizeBytes((block) => hasBlock(fs, fd, block, blockLengthBytes), blockLengthBytes)
  );
}

/**
 * Finds the size of a medium, in bytes, only by reading blocks: doubles a block number until it is beyond the end, then
 * searches by bisection. About a hundred reads for the largest device.
 */
export function probeSizeBytes(hasBlockAt: (block: number) => boolean, blockLengthBytes: number): number {
  if (!hasBlockAt(0)) return 0;
  const blocksMax = Math.floor(Number.MAX_SAFE_INTEGER / blockLengthBytes);
  let inside = 0;
  let outside = 1;
  while (outside < blocksMax && hasBlockAt(outside)) {
    inside = outside;
    outside = Math.min(outside * 2, blocksMax);
  }
  while (outside - inside > 1) {
    const middle = inside + Math.floor((outside - inside) / 2);
    if (hasBlockAt(middle)) inside = middle;
    else outside = middle;
  }
  return outside * blockLengthBytes;
}

/**
 * Whether a whole block can be read. Beyond the end, systems read nothing, or fail with EINVAL or ENXIO. Other failures
 * say nothing about the size, and are thrown.
 */
export function hasBlock(fs: FileSystem, fd: number, block: number, blockLengthBytes: number): boolean {
  const buffer = allocateAligned(blockLengthBytes);
  try {
    return fs.readSync(fd, buffer, 0, blockLengthBytes, block * blockLengthBytes) === blockLengthBytes;
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    if (code === 'EINVAL' || code === 'ENXIO') return false;
    throw cause;
  }
}

function sysSizeBytes(fs: FileSystem, stats: Stats): number | undefined {
  const { major, minor } = deviceNumbers(stats.rdev);
  try {
    const sectors = Number(fs.readFileSync(`/sys/dev/block/${major}:${minor}/size`, 'ascii'));
    return Number.isSafeInteger(sectors) ? sectors * SYS_SECTOR_BYTES : undefined;
  } catch {
    return undefined; // no /sys, as in some containers and on other systems
  }
}

/** Unpacks the major and minor number from Linux's `rdev`, where the bits of both are interleaved. */
export function deviceNumbers(rdev: number): { major: number; minor: number } {
  const packed = BigInt(rdev);
  const major = ((packed >> 8n) & 0xfffn) | ((packed >> 32n) & 0xffff_f000n);
  const minor = (packed & 0xffn) | ((packed >> 12n) & 0xffff_ff00n);
  return { major: Number(major), minor: Number(minor) };
}
