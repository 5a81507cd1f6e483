/** A promise that is settled from outside, and made only when it is asked for. */

import { expect, test } from 'vitest';
import { Deferred } from '../../../packages/core/dist/steps/deferred.js';

const isSettled = (promise: Promise<void>) => Promise.race([promise.then(() => true), Promise.resolve(false)]);

test('a promise that was asked for before is settled', async () => {
  const resolved = new Deferred();
  const rejected = new Deferred();
  const [first, second] = [resolved.promise, rejected.promise];
  expect(await isSettled(first)).toBe(false);
  resolved.resolve();
  rejected.reject(new Error('lost'));
  await first;
  await expect(second).rejects.toThrow('lost');
});

test('a promise that is asked for afterwards is settled, too, and is always the same', async () => {
  const resolved = new Deferred();
  const rejected = new Deferred();
  resolved.resolve();
  rejected.reject(new Error('lost'));
  await resolved.promise;
  await expect(rejected.promise).rejects.toThrow('lost');
  expect(resolved.promise).toBe(resolved.promise);
});

test('the first outcome counts', async () => {
  const deferred = new Deferred();
  deferred.resolve();
  deferred.reject(new Error('late'));
  await deferred.promise;
});

test('a rejection that nothing waits for does not end the process', async () => {
  const deferred = new Deferred();
  const { promise } = deferred;
  deferred.reject(new Error('lost'));
  await new Promise((resolve) => setImmediate(resolve));
  await expect(promise).rejects.toThrow('lost');
});
