/**
 * The process that is killed: writes records without end, and reports from time to time how many of them are durable.
 */

import { openStore } from '@blobyard/workers';
import { LEDGER, RECORD_BYTES, RECORDS_PER_FLUSH, recordBytes } from './ledger.js';

const store = await openStore({ device: { kind: 'file', path: process.argv[2], mode: 'async' } });
const ledger = await store.open({ name: LEDGER });
process.on('disconnect', () => process.exit(1)); // the parent has ended, and can no longer kill this process

for (let first = 0; ; first += RECORDS_PER_FLUSH) {
  const writes: Promise<void>[] = [];
  for (let number = first; number < first + RECORDS_PER_FLUSH; number++) {
    if ((number + 1) * RECORD_BYTES > ledger.sizeBytes) await ledger.resize(ledger.sizeBytes * 2);
    writes.push(ledger.write(recordBytes(number), number * RECORD_BYTES));
  }
  await writes[RECORDS_PER_FLUSH / 2];
  process.send?.({ durable: first }); // records before `first` are flushed; others are in flight now
  await Promise.all(writes);
  await ledger.flush();
}
