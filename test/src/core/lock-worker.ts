/**
 * A thread that takes the used lock many times. With the lock held, it does what is correct only if no other thread
 * holds it: it adds to a plain word without atomics, and allocates and frees clusters. Run by `used-lock.test.ts`.
 */

import { parentPort, workerData } from 'node:worker_threads';
import { NONE_U32, SharedStore, type SharedStoreBuffers } from '@blobyard/core';

export interface LockWorkerData {
  buffers: SharedStoreBuffers;
  threadId: number;
  rounds: number;
  /** Word 0: the counter, without atomics. Word 1: the number of threads that are ready, then the signal to start. */
  words: Int32Array;
  threads: number;
  /** Once in this number of rounds the lock is held for a moment, so that other threads have to sleep. */
  holdEvery: number;
}

export interface LockWorkerResult {
  /** The clusters that this thread has allocated and not freed. */
  owned: number[];
  /** How often this thread slept. */
  sleeps: number;
}

const COUNTER = 0;
const READY = 1;
const HOLD_MS = 0.2;
const OWNED_MAX = 40;

const data = workerData as LockWorkerData;
let sleeps = 0;

/** Removes the timeout of sleeps: a lost wake-up then hangs the test, and does not only cost some milliseconds. */
function sleepWithoutTimeout(): void {
  const { wait } = Atomics;
  const sleep = (words: Int32Array, index: number, value: number): ReturnType<typeof wait> => {
    sleeps++;
    return wait(words, index, value);
  };
  Object.assign(Atomics, { wait: sleep });
}

function waitForAll(): void {
  Atomics.add(data.words, READY, 1);
  while (Atomics.load(data.words, READY) < data.threads);
}

function hold(): void {
  const until = performance.now() + HOLD_MS;
  while (performance.now() < until);
}

function runRounds(): number[] {
  const store = new SharedStore(data.buffers, data.threadId);
  const owned: number[] = [];
  for (let round = 0; round < data.rounds; round++) {
    store.usedLock.acquire();
    data.words[COUNTER] = data.words[COUNTER] + 1;
    const cluster = store.clusters.allocate();
    if (cluster !== NONE_U32) owned.push(cluster);
    if (owned.length > OWNED_MAX) store.clusters.free(owned.splice(round % owned.length, 1)[0]);
    if (round % data.holdEvery === data.threadId) hold();
    store.usedLock.release();
  }
  return owned;
}

sleepWithoutTimeout();
waitForAll();
parentPort?.postMessage({ owned: runRounds(), sleeps } satisfies LockWorkerResult);
