/**
 * A thread that opens a store, shares it, and then ends in the way that the test wants. Run by `opener-death.test.ts`.
 */

import { parentPort, workerData } from 'node:worker_threads';
import type { DeviceSpec } from '@blobyard/io';
import { createStore, type StoreHandle } from '@blobyard/workers';
import { Gate } from './gate.js';

export interface OpenerData {
  readonly device: DeviceSpec;
  readonly threads: number;
  readonly clusterSizeBytes: number;
}

export interface Opened {
  readonly handle: StoreHandle;
  /** The id of a thin blob of four clusters, of which the first one is filled with ones. */
  readonly id: bigint;
}

export type OpenerOrder = 'exit' | 'throw' | 'memory' | { readonly gate: SharedArrayBuffer };

function obey(order: OpenerOrder): void {
  if (order === 'exit') process.exit(3);
  if (order === 'throw') throw new Error('the test wants this thread to crash');
  if (order === 'memory') for (const hoard: unknown[] = []; ; ) hoard.push(new Array(1000).fill(hoard.length));
  new Gate(order.gate).pass();
}

const { device, threads, clusterSizeBytes } = workerData as OpenerData;
const store = await createStore({ device, threads, clusterSizeBytes, keepAlive: true });
const blob = await store.create({ name: 'old', sizeBytes: 4 * clusterSizeBytes, thin: true });
await blob.write(new Uint8Array(clusterSizeBytes).fill(1), 0);
await blob.flush();
parentPort?.on('message', obey);
parentPort?.postMessage({ handle: store.share(), id: blob.id } satisfies Opened);
