/** An attached thread that makes first writes, and then awaits writes in a loop until its event loop turns. */

import { parentPort, workerData } from 'node:worker_threads';
import { attach, type StoreHandle } from 'blobyard';

/** More writes than fit into any time slice. */
const WRITES_MAX = 5_000_000;

const {
  yard: handle,
  id,
  first,
  count,
} = workerData as { yard: StoreHandle; id: bigint; first: number; count: number };
const yard = await attach(handle);
const blob = yard.openSync(id);
const page = new Uint8Array(4096).fill(2);
for (let at = 0; at < count; at++) blob.writeSync(page, (first + at) * yard.clusterSizeBytes);
let hasTurned = false;
setImmediate(() => {
  hasTurned = true;
});
let written = 0;
for (; !hasTurned && written < WRITES_MAX; written++) await blob.write(page, first * yard.clusterSizeBytes);
await yard.close();
parentPort?.postMessage(hasTurned);
