/**
 * A process that makes first writes, and copy-on-writes after a snapshot. It prints when all are acknowledged, and then
 * ends in the given way, without a flush or a close. Arguments: the file, the mode, the way in which it ends.
 */

import { Worker } from 'node:worker_threads';
import { type Blob, createStore, type Store } from '@blobyard/workers';

export const CLUSTER = 65_536;
export const CLUSTERS = 24;
/** The number of clusters that are written before the snapshot, and again after it. */
export const COPIED = 8;

export type Mode = 'inline' | 'pool' | 'attached' | 'attached beside pool';
export type End = 'kill' | 'exit' | 'exception' | 'nothing more to do';

/** The value of the bytes in cluster `index` at the end. */
export function valueIn(index: number): number {
  return index < COPIED ? 100 + index : 1 + index;
}

const ATTACHED = `
  const { parentPort, workerData } = require('node:worker_threads');
  import(workerData.module).then(async ({ attach }) => {
    const yard = await attach(workerData.yard);
    const blob = yard.openSync(workerData.id);
    for (const [index, value] of workerData.writes) blob.writeSync(new Uint8Array(4096).fill(value), index * workerData.clusterBytes);
    parentPort.postMessage('written');
    if (workerData.stays) setInterval(() => undefined, 1000);
  });`;

async function writeAttached(store: Store, blob: Blob, writes: [number, number][], stays: boolean): Promise<void> {
  const module = import.meta.resolve('@blobyard/workers');
  const yard = store.share();
  const workerDataOfIt = { module, yard, id: blob.id, writes, clusterBytes: CLUSTER, stays };
  const worker = new Worker(ATTACHED, { eval: true, workerData: workerDataOfIt });
  await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
}

async function main(file: string, mode: Mode, end: End): Promise<void> {
  const device = { kind: 'file', path: file, create: true, sizeBytes: 2 ** 24 } as const;
  const threads = mode === 'pool' || mode === 'attached beside pool' ? 1 : 0;
  const store = await createStore({ device, clusterSizeBytes: CLUSTER, threads });
  const blob = await store.create({ name: 'a', sizeBytes: CLUSTERS * CLUSTER, thin: true });
  const write = async (writes: [number, number][]) => {
    if (mode.startsWith('attached')) return writeAttached(store, blob, writes, end !== 'nothing more to do');
    await Promise.all(writes.map(([at, value]) => blob.write(new Uint8Array(4096).fill(value), at * CLUSTER)));
  };
  await write(Array.from({ length: COPIED }, (_, at) => [at, 50]));
  await (await blob.snapshot({ name: 'before' })).close();
  await write(Array.from({ length: CLUSTERS }, (_, at) => [at, valueIn(at)]));
  await new Promise((resolve) => process.stdout.write('acknowledged\n', resolve));
  if (end === 'exit') process.exit(3);
  if (end === 'kill') process.kill(process.pid, 'SIGKILL');
  if (end === 'exception') setImmediate(() => JSON.parse('{'));
}

const [file, mode, end] = process.argv.slice(2);
if (file !== undefined && process.argv[1] === new URL(import.meta.url).pathname)
  await main(file, mode as Mode, end as End);
