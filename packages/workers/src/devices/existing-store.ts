/** A look at a device that is about to be overwritten: a store that is on it must not be lost by mistake. */

import { BlobstoreError, type BlockDevice, bstypeToText, PAGE_BYTES, SuperBlock } from '@blobyard/core';

/**
 * Throws EEXIST when there is a store on a device, also a damaged one, or one of a version that cannot be opened: what counts is
 * the signature of a blobstore at the device's beginning. EIO when that cannot be read.
 * @param doing - for the message, such as "a store cannot be made"
 */
export async function requireNoStore(device: BlockDevice, doing: string): Promise<void> {
  const { blockLengthBytes, blockCount } = device;
  const blocks = PAGE_BYTES / blockLengthBytes;
  if (!Number.isInteger(blocks) || blockCount < blocks) return; // there can be none
  const block = new SuperBlock();
  const channel = device.openChannel();
  try {
    await channel.read(block.bytes, 0, 0, blocks);
  } finally {
    channel.close();
  }
  if (!block.hasSignature) return;
  const advice = 'open it (openStore), choose another device, or lose it by `overwrite: true`';
  throw new BlobstoreError('EEXIST', `${doing}: the device holds ${describeStore(block)} already; ${advice}`);
}

/** What a super block says, which may be anything: its crc tells whether that can be believed. */
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
