/**
 * The records that a process writes until it is killed. The bytes of a record are computed from its number, so they can
 * be verified.
 */

import { createHash } from 'node:crypto';
import type { Blob } from '@blobyard/workers';

export const LEDGER = 'ledger';
/** Not a multiple of the io unit, so that records share io units with their neighbours. */
export const RECORD_BYTES = 1000;
/** The number of records between two flushes; even. */
export const RECORDS_PER_FLUSH = 100;

export function recordBytes(number: number): Uint8Array {
  const record = new Uint8Array(RECORD_BYTES);
  for (let at = 0; at < RECORD_BYTES; at += 32) {
    const hash = createHash('sha256').update(`record ${number}, bytes from ${at} on`).digest();
    record.set(hash.subarray(0, Math.min(32, RECORD_BYTES - at)), at);
  }
  return record;
}

/** Resolves with true if the ledger contains the bytes of a record as they were written. */
export async function hasRecord(ledger: Blob, number: number): Promise<boolean> {
  const bytes = await ledger.read(number * RECORD_BYTES, RECORD_BYTES);
  return Buffer.compare(bytes, recordBytes(number)) === 0;
}
