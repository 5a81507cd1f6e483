/** Looks for a store on a device before the device is overwritten, so that no store is lost by mistake. */

import { BlobstoreError, type BlockDevice, bstypeToText, isMarksPage, PAGE_BYTES, SuperBlock } from '@blobyard/core';

/** How far `isEmpty` looks. */
const START_BYTES = 1 << 20;

/**
 * Throws EEXIST if the device holds a store, even if that is damaged or has an unsupported version: only the blobstore
 * signature at the start of the device counts. Throws EIO if that cannot be read.
 * @param doing - the start of the message, such as "no store is made"
 */
export async function requireNoStore(device: BlockDevice, doing: string): Promise<void> {
  const block = superBlockIn(await readStart(device, PAGE_BYTES));
  if (!block?.hasSignature) return;
  const advice = 'open it (openStore), choose another device, or overwrite it with `overwrite: true`';
  throw new BlobstoreError('EEXIST', `${doing}: the device holds ${describeStore(block)} already; ${advice}`);
}

/**
 * True if the device is empty: its first MiB has only zeroes, or what is left of the creation of a store that was cut
 * off. False if it holds a store, even a damaged one. Throws EILSEQ if it holds something else.
 */
export async function isEmpty(device: BlockDevice): Promise<boolean> {
  const start = await readStart(device, START_BYTES);
  if (superBlockIn(start)?.hasSignature) return false;
  for (let at = 0; at < start.length; at += PAGE_BYTES) {
    const page = start.subarray(at, at + PAGE_BYTES);
    const first = page.findIndex((byte) => byte !== 0);
    if (first < 0 || isMarksPage(page)) continue;
    const found = `the device holds no store, but other data (byte ${at + first} is not zero)`;
    throw new BlobstoreError('EILSEQ', `${found}: createStore makes a store on it, and that data is lost`);
  }
  return true;
}

/** The first bytes of a device, of whole blocks: fewer if it is smaller. */
async function readStart(device: BlockDevice, bytes: number): Promise<Uint8Array> {
  const { blockLengthBytes } = device;
  const blocks = Math.min(Math.ceil(bytes / blockLengthBytes), device.blockCount);
  const start = new Uint8Array(blocks * blockLengthBytes);
  const channel = device.openChannel();
  try {
    if (blocks > 0) await channel.read(start, 0, 0, blocks);
  } finally {
    channel.close();
  }
  return start;
}

/** The super block, if the device is large enough for one. */
function superBlockIn(start: Uint8Array): SuperBlock | undefined {
  return start.length < PAGE_BYTES ? undefined : new SuperBlock(start.slice(0, PAGE_BYTES));
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
