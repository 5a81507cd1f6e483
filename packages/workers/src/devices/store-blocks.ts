/** Finds the block length of a file that holds a store: it is in the super block. */

import { blockLengthOfStore, PAGE_BYTES, SuperBlock } from '@blobyard/core';
import { FileDevice, type FileDeviceSpec } from '@blobyard/io';

/** With this block length the super block of any store can be read. */
const BLOCK_BYTES = 512;

/**
 * Returns the spec of a file that may hold a store. If it has no block length, it gets the one of the store in the file.
 * Does not throw: if the file is not usable, opening it throws later.
 */
export function asItsStoreSays(spec: FileDeviceSpec): FileDeviceSpec {
  if (spec.blockLengthBytes !== undefined) return spec;
  const blockLengthBytes = lookUp(spec);
  return blockLengthBytes === undefined ? spec : { ...spec, blockLengthBytes };
}

/** Opens the file as `FileDevice` does, which refuses a pipe, for example. Another open could block on it. */
function lookUp({ path, readOnly }: FileDeviceSpec): number | undefined {
  let file: FileDevice | undefined;
  try {
    file = FileDevice.open({ path, blockLengthBytes: BLOCK_BYTES, readOnly });
    const block = new SuperBlock();
    void file.openChannel().read(block.bytes, 0, 0, PAGE_BYTES / BLOCK_BYTES);
    return blockLengthOfStore(block);
  } catch {
    return undefined;
  } finally {
    void file?.close();
  }
}
