/** Errors in shared memory: the code as an errno, the message as UTF-8, cut where it does not fit. */

import { BlobstoreError, ERRNO, type ErrorCode } from '@blobyard/core';

const CODES = new Map<number, ErrorCode>(Object.entries(ERRNO).map(([code, errno]) => [errno, code as ErrorCode]));
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Writes a message; answers its bytes. */
export function writeText(text: string, area: Uint8Array): number {
  const bytes = new Uint8Array(area.length); // `encodeInto` does not take shared memory on all versions
  const { written } = encoder.encodeInto(text, bytes);
  area.set(bytes.subarray(0, written));
  return written;
}

/** The error that an errno and a text area hold. */
export function readError(errno: number, area: Uint8Array, bytes: number): BlobstoreError {
  const code = CODES.get(errno) ?? 'EIO';
  return new BlobstoreError(code, decoder.decode(area.slice(0, bytes)));
}
