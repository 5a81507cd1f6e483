/** The used lock: what it asserts on one thread, and that with several threads it excludes and wakes them. */

import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { InvariantError, NONE_U32, SharedStore } from '@blobyard/core';
import { expect, test } from 'vitest';
import type { LockWorkerData, LockWorkerResult } from './lock-worker.js';

const WORKER = new URL('../../dist/core/lock-worker.js', import.meta.url);
const THREADS = 4;
const ROUNDS = 50_000;

function create(clusterCount: number): SharedStore {
  return SharedStore.create({ clusterCount, clusterCountMax: clusterCount, mdPageCount: 8 }, 0);
}

test('knows which thread holds it', () => {
  const first = create(8);
  const second = new SharedStore(first.buffers, 1);
  expect(first.usedLock.isHeld).toBe(false);
  first.usedLock.acquire();
  expect([first.usedLock.isHeld, second.usedLock.isHeld]).toEqual([true, false]);
  first.usedLock.release();
  second.usedLock.acquire();
  expect([first.usedLock.isHeld, second.usedLock.isHeld]).toEqual([false, true]);
});

test('asserts against being taken twice by one thread', () => {
  const { usedLock } = create(8);
  usedLock.acquire();
  expect(() => usedLock.acquire()).toThrow(InvariantError);
  expect(usedLock.isHeld).toBe(true);
});

test('asserts against being released by a thread that does not hold it', () => {
  const first = create(8);
  const second = new SharedStore(first.buffers, 1);
  expect(() => first.usedLock.release()).toThrow(InvariantError);
  first.usedLock.acquire();
  expect(() => second.usedLock.release()).toThrow(InvariantError);
});

test('is released when the critical section throws', () => {
  const store = create(8);
  const section = () => {
    throw new Error('broken');
  };
  expect(() => store.locked(section)).toThrow('broken');
  expect(store.usedLock.isHeld).toBe(false);
  expect(store.locked(() => 7)).toBe(7);
});

test('lets one thread in at a time, and loses no wake-up', async () => {
  const store = create(THREADS * 50);
  const words = new Int32Array(new SharedArrayBuffer(8));
  const results = await Promise.all(
    Array.from({ length: THREADS }, (_, threadId) => {
      const data: LockWorkerData = {
        buffers: store.buffers,
        threadId: threadId + 1,
        rounds: ROUNDS,
        words,
        threads: THREADS,
        holdEvery: 1000,
      };
      return resultOf(new Worker(WORKER, { workerData: data }));
    }),
  );
  expect(words[0]).toBe(THREADS * ROUNDS);
  expect(results.reduce((sum, { sleeps }) => sum + sleeps, 0)).toBeGreaterThan(0);
  const owned = results.flatMap((result) => result.owned);
  expect(new Set(owned).size).toBe(owned.length);
  store.locked(() => {
    for (const cluster of owned) expect(store.clusters.isAllocated(cluster)).toBe(true);
    expect(store.clusters.countFree()).toBe(THREADS * 50 - owned.length);
    expect(store.clusters.freeCount).toBe(THREADS * 50 - owned.length);
    expect(store.clusters.allocate()).not.toBe(NONE_U32);
  });
});

async function resultOf(worker: Worker): Promise<LockWorkerResult> {
  // Both listeners are added together: if this thread is busy, both events come in one turn of the event loop.
  const [[result]] = await Promise.all([once(worker, 'message'), once(worker, 'exit')]);
  return result as LockWorkerResult;
}
