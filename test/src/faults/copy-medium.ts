/** Copies of a device in memory. */

import { SparseMemoryDevice } from '@blobyard/io';

/** A copy of a device with its present contents, as a crash now would leave it. */
export function copyMedium(medium: SparseMemoryDevice): SparseMemoryDevice {
  const { blockLengthBytes, blockCount, canCopy } = medium;
  const copy = new SparseMemoryDevice({ sizeBytes: blockCount * blockLengthBytes, blockLengthBytes, canCopy });
  const channel = copy.openChannel();
  let lba = 0;
  for (const chunk of medium.chunks()) {
    const blocks = chunk.length / blockLengthBytes;
    if (!medium.isZeroes(lba, blocks)) void channel.write(chunk, 0, lba, blocks);
    lba += blocks;
  }
  channel.close();
  return copy;
}
