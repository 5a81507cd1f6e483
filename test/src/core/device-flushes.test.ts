/** Flushes of the device are shared, but a flush never counts for a write that ended after the flush had begun. */

import { type BlockDevice, type DeviceChannel, type MaybePromise, run, runSync } from '@blobyard/core';
import { expect, test } from 'vitest';
import { DeviceFlushes } from '../../../packages/core/dist/state/device-flushes.js';

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** A device whose flushes end at once, or when the test ends them. */
class Flushed {
  begun = 0;
  failure: Error | undefined;
  readonly flushes: DeviceFlushes;
  readonly #ends: (() => void)[] = [];

  constructor(synchronous: boolean, cacheOwner?: 'process') {
    const flush = (): MaybePromise<void> => {
      this.begun++;
      const end = () => {
        if (this.failure) throw this.failure;
      };
      return synchronous ? end() : new Promise<void>((resolve) => this.#ends.push(resolve)).then(end);
    };
    const device = { synchronous, cacheOwner } as BlockDevice;
    this.flushes = new DeviceFlushes(device, { flush } as DeviceChannel);
  }

  /** Asks for a flush. Returns its state: `waits`, `done`, or the message of its error. */
  ask(): { state: string } {
    const asked = { state: 'waits' };
    run(this.flushes.flush()).then(
      () => {
        asked.state = 'done';
      },
      (error: Error) => {
        asked.state = error.message;
      },
    );
    return asked;
  }

  /** Ends the flush that is in flight, with an error if `failure` is given. */
  async end(failure?: Error): Promise<void> {
    this.failure = failure;
    this.#ends.shift()?.();
    await turn();
  }
}

test('callers that ask while a flush is in flight wait for the next one, and share it', async () => {
  const device = new Flushed(false);
  const first = device.ask();
  const others = [device.ask(), device.ask()];
  await turn();
  expect(device.begun).toBe(1);
  await device.end();
  const late = device.ask();
  expect([first, ...others].map(({ state }) => state)).toEqual(['done', 'waits', 'waits']);
  await device.end();
  expect([...others, late].map(({ state }) => state)).toEqual(['done', 'done', 'waits']);
  await device.end();
  expect(late.state).toBe('done');
  expect(device.begun).toBe(3);
});

test('a flush that fails rejects for all callers that share it, and for no others', async () => {
  const device = new Flushed(false);
  const first = device.ask();
  const others = [device.ask(), device.ask()];
  await device.end();
  const late = device.ask();
  await device.end(new Error('broken'));
  expect([first, ...others, late].map(({ state }) => state)).toEqual(['done', 'broken', 'broken', 'waits']);
  await device.end();
  expect(late.state).toBe('done');
});

test('a flush of data written before a failed flush gets that error, even if a later flush succeeded', () => {
  const device = new Flushed(true);
  const { begun } = device.flushes;
  device.failure = new Error('broken');
  expect(() => runSync(device.flushes.flush())).toThrow('broken');
  const between = device.flushes.begun;
  device.failure = undefined;
  runSync(device.flushes.flush());
  expect(() => runSync(device.flushes.since(begun))).toThrow('broken');
  runSync(device.flushes.since(between));
  expect(device.begun).toBe(2);
  runSync(device.flushes.since(device.flushes.begun));
  expect(device.begun).toBe(3);
});

test('on a synchronous device all callers in one turn of the event loop share a flush', async () => {
  const device = new Flushed(true);
  const asked = [device.ask(), device.ask()];
  await undefined;
  asked.push(device.ask());
  expect(device.begun).toBe(0);
  await turn();
  await turn();
  expect(device.begun).toBe(1);
  expect(asked.map(({ state }) => state)).toEqual(['done', 'done', 'done']);
});

test('a synchronous caller flushes without a wait, and its flush counts for the callers that wait', async () => {
  const device = new Flushed(true);
  const asked = device.ask();
  runSync(device.flushes.flush());
  expect(device.begun).toBe(1);
  await turn();
  await turn();
  expect([asked.state, device.begun]).toEqual(['done', 1]);
});

test('a synchronous caller on an asynchronous device fails, and does not affect the others', async () => {
  const device = new Flushed(false);
  const code = { code: 'ENOTSUP' };
  expect(() => runSync(device.flushes.flush())).toThrow(expect.objectContaining(code));
  const asked = device.ask();
  expect(() => runSync(device.flushes.flush())).toThrow(expect.objectContaining(code));
  await device.end();
  await device.end();
  expect([asked.state, device.begun]).toEqual(['done', 2]);
});

test('on a device in memory, which has nothing to flush, no caller waits for others', async () => {
  const device = new Flushed(true, 'process');
  const asked = device.ask();
  expect(device.begun).toBe(1);
  await asked;
});
