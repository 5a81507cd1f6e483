/** A deferred: its promise is settled by method calls, and is made only when it is asked for. */

import { expect, test } from 'vitest';
import { Deferred } from '../../../packages/core/dist/steps/deferred.js';

const isSettled = (promise: Promise<void>) => Promise.race([promise.then(() => true), Promise.resolve(false)]);

test('a promise that was asked for before the outcome is settled with it', async () => {
  const resolved = new Deferred();
  const rejected = new Deferred();
  const [first, second] = [resolved.promise, rejected.promise];
  expect(await isSettled(first)).toBe(false);
  resolved.resolve();
  rejected.reject(new Error('lost'));
  await first;
  await expect(second).rejects.toThrow('lost');
});

test('a promise that is asked for after the outcome is settled, too, and every call returns the same one', async () => {
  const resolved = new Deferred();
  const rejected = new Deferred();
  resolved.resolve();
  rejected.reject(new Error('lost'));
  await resolved.promise;
  await expect(rejected.promise).rejects.toThrow('lost');
  expect(resolved.promise).toBe(resolved.promise);
});

test('only the first outcome counts', async () => {
  const deferred = new Deferred();
  deferred.resolve();
  deferred.reject(new Error('late'));
  await deferred.promise;
});

test('a rejection without a listener does not end the process', async () => {
  const deferred = new Deferred();
  const { promise } = deferred;
  deferred.reject(new Error('lost'));
  await new Promise((resolve) => setImmediate(resolve));
  await expect(promise).rejects.toThrow('lost');
});
