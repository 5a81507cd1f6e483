/**
 * A process that makes a store on a file, and then runs a loop of synchronous calls that never returns to its event
 * loop: on an attached thread, or on the opener's own. After some rounds it kills itself.
 */

import { isMainThread, Worker, workerData } from 'node:worker_threads';
import { attach, createStore, type Store, type StoreHandle } from 'blobyard';

export const ROUNDS = 20;
export const CLUSTER = 16 * 1024;

/** The blob, the data and the offset of the write of a round. */
export function round(number: number): { name: string; data: Uint8Array; offset: number } {
  return { name: `blob ${number % 3}`, data: new Uint8Array(5000).fill(number + 1), offset: number * 7001 };
}

function loop(store: Pick<Store, 'openSync' | 'flushSync'>): never {
  for (let number = 0; number < ROUNDS; number++) {
    const { name, data, offset } = round(number);
    const blob = store.openSync({ name });
    blob.writeSync(data, offset);
    if (number % 2 === 0) blob.flushSync();
    else blob.syncSync();
    blob.closeSync();
  }
  store.flushSync();
  process.kill(process.pid, 'SIGKILL');
  for (;;) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
}

const [, , path, who] = process.argv;
if (!isMainThread && workerData?.handle) {
  loop(await attach(workerData.handle as StoreHandle));
} else if (path !== undefined && (who === 'opener' || who === 'attached')) {
  const device = { kind: 'file', path, create: true, sizeBytes: 8 << 20 } as const;
  const store = await createStore({ device, clusterSizeBytes: CLUSTER });
  for (let number = 0; number < 3; number++) {
    await (await store.create({ name: `blob ${number}`, sizeBytes: 16 * CLUSTER, thin: true })).close();
  }
  await store.flush();
  if (who === 'opener') loop(store);
  new Worker(new URL(import.meta.url), { workerData: { handle: store.share() } });
  setInterval(() => undefined, 1000); // the opener stays alive, and serves the attached thread
}
