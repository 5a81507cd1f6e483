/** An attached thread of the tortured process. It changes the blobs that its tasks name. */

import { parentPort, workerData } from 'node:worker_threads';
import { attach, type StoreHandle } from 'blobyard';
import { Random } from '../random.js';
import { changeAtOnce, changeInOrder } from './data-work.js';
import { Reporter } from './protocol.js';

export interface AttachedThreadData {
  readonly handle: StoreHandle;
  readonly seed: number;
  /** The name of its random sequence. */
  readonly name: string;
  /** Its number in reports. */
  readonly writer: number;
}

/** A number of operations on a blob. */
export interface AttachedTask {
  readonly number: number;
  readonly key: string;
  readonly id: bigint;
  readonly count: number;
}

const { handle, seed, name, writer } = workerData as AttachedThreadData;
const store = await attach(handle);
const random = new Random(seed, name);
const reporter = new Reporter(writer);

parentPort?.on('message', async ({ number, key, id, count }: AttachedTask) => {
  const blob = await store.open(id);
  const work = { key, blob, clusterBytes: store.clusterSizeBytes, random, reporter, hasSync: true };
  await (random.below(3) === 0 ? changeAtOnce(work, count) : changeInOrder(work, count));
  await blob.close();
  parentPort?.postMessage(number);
});
