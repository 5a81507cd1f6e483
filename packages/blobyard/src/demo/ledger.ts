/** Records that a process writes until it is killed. What a record holds follows from its number, so that anyone can check. */

import { createHash } from 'node:crypto';
import type { Blob } from '@blobyard/workers';

export const LEDGER = 'ledger';
/** Not a multiple of anything: every record shares io units with its neighbours. */
export const RECORD_BYTES = 1000;
/** Records between two flushes; even. */
export const RECORDS_PER_FLUSH = 100;

export function recordBytes(number: number): Uint8Array {
  const record = new Uint8Array(RECORD_BYTES);
  for (let at = 0; at < RECORD_BYTES; at += 32) {
    const hash = createHash('sha256').update(`record ${number}, bytes from ${at} on`).digest();
    record.set(hash.subarray(0, Math.min(32, RECORD_BYTES - at)), at);
  }
  return record;
}

/** True when a record is in the ledger as it was written. */
export async function hasRecord(ledger: Blob, number: number): Promise<boolean> {
  const bytes = await ledger.read(number * RECORD_BYTES, RECORD_BYTES);
  return Buffer.compare(bytes, recordBytes(number)) === 0;
}
