/**
 * The flags descriptor: three sets of bits. The set of a bit says what an engine that does not know the bit must not
 * do: open the blob (`invalid`), write its data (`data_ro`), or change its metadata (`md_ro`).
 */

import { DESCRIPTOR, DESCRIPTOR_HEADER_BYTES, writeDescriptorHeader } from './descriptor.js';

/** `invalid` flags. An engine that does not know all that are set must not open the blob. */
export const INVALID_FLAG = {
  THIN: 1n,
  INTERNAL_XATTR: 2n,
  EXTENT_TABLE: 4n,
  EXTERNAL_SNAPSHOT: 8n,
} as const;
export const INVALID_FLAGS_KNOWN = 15n;
/** `data_ro` flags. An engine that does not know all that are set must not write the blob. */
export const DATA_RO_FLAG_READ_ONLY = 1n;
export const DATA_RO_FLAGS_KNOWN = 1n;
/**
 * `md_ro` flags. An engine that does not know all that are set must not change the metadata of the blob. The two known
 * bits are the clear method, as a number.
 */
export const MD_RO_FLAGS_KNOWN = 3n;

/** How the clusters that a blob releases are cleared. */
export type ClearMethod = 'default' | 'none' | 'unmap' | 'write_zeroes';
const CLEAR_METHODS: readonly ClearMethod[] = ['default', 'none', 'unmap', 'write_zeroes'];

/** A clear method as bits of the md_ro flags. */
export function clearMethodBits(method: ClearMethod): bigint {
  return BigInt(CLEAR_METHODS.indexOf(method));
}

/** The clear method in md_ro flags. */
export function clearMethodOf(mdRoFlags: bigint): ClearMethod {
  return CLEAR_METHODS[Number(mdRoFlags & MD_RO_FLAGS_KNOWN)];
}

/** True for a name of a clear method. */
export function isClearMethod(name: unknown): name is ClearMethod {
  return CLEAR_METHODS.includes(name as ClearMethod);
}

export interface BlobFlags {
  invalid: bigint;
  dataRo: bigint;
  mdRo: bigint;
}

const PAYLOAD_BYTES = 24;
/** Bytes of the whole descriptor. */
export const FLAGS_DESCRIPTOR_BYTES = DESCRIPTOR_HEADER_BYTES + PAYLOAD_BYTES;

export function encodeFlags(view: DataView, at: number, flags: BlobFlags): void {
  const payload = writeDescriptorHeader(view, at, DESCRIPTOR.FLAGS, PAYLOAD_BYTES);
  view.setBigUint64(payload, flags.invalid, true);
  view.setBigUint64(payload + 8, flags.dataRo, true);
  view.setBigUint64(payload + 16, flags.mdRo, true);
}

/** The flags in a descriptor; undefined when the payload has the wrong length. */
export function decodeFlags(view: DataView, payloadAt: number, payloadBytes: number): BlobFlags | undefined {
  if (payloadBytes !== PAYLOAD_BYTES) return undefined;
  return {
    invalid: view.getBigUint64(payloadAt, true),
    dataRo: view.getBigUint64(payloadAt + 8, true),
    mdRo: view.getBigUint64(payloadAt + 16, true),
  };
}
