/** Looks for a store on a device before the device is overwritten, so that no store is lost by mistake. */

import { BlobstoreError, type BlockDevice, bstypeToText, PAGE_BYTES, SuperBlock } from '@blobyard/core';

/**
 * Throws EEXIST if the device holds a store, even if that is damaged or has an unsupported version: only the blobstore
 * signature at the start of the device counts. Throws EIO if that cannot be read.
 * @param doing - the start of the message, such as "no store is made"
 */
export async function requireNoStore(device: BlockDevice, doing: string): Promise<void> {
  const { blockLengthBytes, blockCount } = device;
  const blocks = PAGE_BYTES / blockLengthBytes;
  if (!Number.isInteger(blocks) || blockCount < blocks) return; // too small for a store
  const block = new SuperBlock();
  const channel = device.openChannel();
  try {
    await channel.read(block.bytes, 0, 0, blocks);
  } finally {
    channel.close();
  }
  if (!block.hasSignature) return;
  const advice = 'open it (openStore), choose another device, or overwrite it with `overwrite: true`';
  throw new BlobstoreError('EEXIST', `${doing}: the device holds ${describeStore(block)} already; ${advice}`);
}

/** Describes the store by its super block, whose fields are meaningful only if its crc is right. */
function describeStore(block: SuperBlock): string {
  if (!block.isSealed) return 'a blobstore whose super block is damaged';
  const { version, sizeBytes, clusterBytes, clean } = block;
  const type = bstypeToText(block.bstype);
  const facts = [
    `version ${version}`,
    type === '' ? 'no type' : `type '${type}'`,
    ...(sizeBytes === 0 ? [] : [`${sizeBytes} bytes`]),
    `clusters of ${clusterBytes} bytes`,
    clean === 0 ? 'in use or not closed' : 'closed',
  ];
  return `a blobstore (${facts.join(', ')})`;
}
