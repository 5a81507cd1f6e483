/**
 * How large a file or a block device is. `stat` tells the size of a file, but says 0 for a block device; for that Linux
 * has a number in /sys, and elsewhere the last block is found by reading.
 */

import type { Stats } from 'node:fs';
import { BlobstoreError } from '@blobyard/core';
import { allocateAligned } from './aligned-buffer.js';
import type { FileSystem } from './file-system.js';

/** The unit of the sizes in /sys, whatever the device's own block length. */
const SYS_SECTOR_BYTES = 512;

/** Bytes in an open file or block device. Throws EINVAL for any other kind of file. */
export function mediumSizeBytes(fs: FileSystem, fd: number, blockLengthBytes: number): number {
  const stats = fs.fstatSync(fd);
  if (stats.isFile()) return stats.size;
  if (!stats.isBlockDevice()) {
    throw new BlobstoreError('EINVAL', 'a device must be a regular file or a block device, and this is neither');
  }
  return (
    sysSizeBytes(fs, stats) ?? probeSizeBytes((block) => hasBlock(fs, fd, block, blockLengthBytes), blockLengthBytes)
  );
}

/**
 * Bytes of a medium about which nothing is known but whether a block can be read: doubles a block number until it lies
 * outside, then halves the distance. About a hundred reads for the largest device.
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
 * Whether a whole block can be read. Past the end systems read nothing or refuse the position; any other failure is of
 * the medium, says nothing about its size, and is thrown.
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

/** The two numbers that Linux packs into `rdev`: 12 + 20 bits in its lower half, with more of each above them. */
export function deviceNumbers(rdev: number): { major: number; minor: number } {
  const packed = BigInt(rdev);
  const major = ((packed >> 8n) & 0xfffn) | ((packed >> 32n) & 0xffff_f000n);
  const minor = (packed & 0xffn) | ((packed >> 12n) & 0xffff_ff00n);
  return { major: Number(major), minor: Number(minor) };
}
