/** A process with a limit for the size of files. It fills a store until a write fails, and prints the error. */

import { BlobstoreError, openStore } from 'blobyard';
import { putPattern } from '../torture/pattern.js';

export interface LimitedReport {
  /** The number of clusters that were written. */
  readonly written: number;
  readonly code: string;
  readonly message: string;
  /** `well`, or the error with which the close failed. */
  readonly closed: string;
}

const [file, threads] = process.argv.slice(2);
const store = await openStore({ device: { kind: 'file', path: file }, threads: Number(threads), keepAlive: true });
const { clusterSizeBytes, totalBytes } = await store.stats();
const blob = await store.create({ name: 'growing', sizeBytes: totalBytes, thin: true });
let written = 0;
let failure: unknown;
try {
  for (; ; written++) {
    const bytes = new Uint8Array(clusterSizeBytes);
    putPattern(bytes, 0, clusterSizeBytes, written, 0);
    await blob.write(bytes, written * clusterSizeBytes);
  }
} catch (error) {
  failure = error;
}
await blob.flush();
const closed = await store.close().then(
  () => 'well',
  (error) => String(error),
);
const { code, message } =
  failure instanceof BlobstoreError ? failure : { code: 'none of ours', message: String(failure) };
process.stdout.write(JSON.stringify({ written, code, message, closed } satisfies LimitedReport));
process.exit(0);
