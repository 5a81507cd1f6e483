/**
 * Loops of awaited operations: during such a loop, the opener still serves attached threads, and the event loop of an
 * attached thread still turns.
 */

import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { createStore } from 'blobyard';
import { expect, test } from 'vitest';

const CLUSTER = 65536;
const THREAD = new URL('../../dist/threads/awaiting-thread.js', import.meta.url);
const WRITES_MAX = 20_000_000;

test('an opener that awaits writes serves attached threads, and their event loops turn during theirs', async () => {
  const store = await createStore({ device: { kind: 'memory', sizeBytes: 64 * CLUSTER }, clusterSizeBytes: CLUSTER });
  const blob = await store.create({ sizeBytes: 32 * CLUSTER, thin: true });
  const worker = new Worker(THREAD, { workerData: { yard: store.share(), id: blob.id, first: 8, count: 8 } });
  const exited = once(worker, 'exit');
  let answer: unknown;
  worker.on('message', (given) => {
    answer = given;
  });
  worker.on('error', (error) => {
    answer = error;
  });
  const page = new Uint8Array(4096).fill(1);
  let written = 0;
  for (; answer === undefined && written < WRITES_MAX; written++) await blob.write(page, 0);
  expect(answer).toBe(true);
  expect((await blob.read(15 * CLUSTER, 1))[0]).toBe(2);
  await exited;
  await blob.close();
  await store.close();
});
