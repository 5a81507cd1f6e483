/** Every method of every object of the API is called with arguments of every kind. */

import { Stream } from 'node:stream';
import { BlobstoreError, createStore, openStore } from 'blobyard';
import fc from 'fast-check';
import { expect, onTestFinished, test } from 'vitest';
import { isPooled } from '../api/support.js';
import { FUZZ_TIMEOUT_MS, fuzzRuns } from '../fuzz-runs.js';
import { callWith } from './calls.js';
import { anyArgument, ODD_NAMES, RIGHT } from './odd-values.js';
import { World } from './world.js';

const RUNS = isPooled ? 10 : 60;

/** Labels of the methods that end their object. */
const ENDING = /: (close|destroy|detach|Symbol\(Symbol\.asyncDispose\))$/;

/** The world of the calls. It is replaced by a new one when its store was closed. */
class Worlds {
  #world: World | undefined;

  async get(): Promise<World> {
    if (this.#world === undefined || this.#world.store.isClosed) {
      await this.close();
      this.#world = await World.make();
    }
    return this.#world;
  }

  async close(): Promise<void> {
    await this.#world?.close();
    this.#world = undefined;
  }
}

function worlds(): Worlds {
  const made = new Worlds();
  onTestFinished(() => made.close());
  return made;
}

/** Reads or ends a stream. Its error must be one of the API, or that of an abort signal. */
async function endStream(answer: unknown): Promise<unknown> {
  if (!(answer instanceof Stream)) return answer;
  await new Promise<void>((resolve, reject) => {
    answer.on('close', resolve);
    answer.on('error', (error: Error) => {
      if (error instanceof BlobstoreError || error.name === 'AbortError') resolve();
      else reject(error);
    });
    if ('resume' in answer) (answer as unknown as { resume(): void }).resume();
    else (answer as unknown as { end(): void }).end();
  });
  return undefined;
}

test('each method refuses each odd argument at each position with a code', { timeout: FUZZ_TIMEOUT_MS }, async () => {
  const world = await worlds().get();
  await world.begin();
  const answers: unknown[] = [];
  const failures: unknown[] = [];
  let calls = 0;
  for (const entry of world.entries()) {
    if (ENDING.test(entry.label)) continue;
    const places = Math.max(1, entry.right.length);
    for (let place = 0; place < places; place++) {
      for (const odd of ODD_NAMES) {
        const names = Array.from({ length: places }, (_, at) => (at === place ? odd : RIGHT));
        answers.push(
          await callWith(entry, names)
            .then(endStream)
            .catch((failure: unknown) => failures.push(failure)),
        );
        calls++;
      }
    }
    await Promise.all(
      answers.splice(0).map((answer) => (answer as { close?: () => Promise<void> } | undefined)?.close?.()),
    );
  }
  expect(failures).toEqual([]);
  await world.end([]);
  expect(calls).toBeGreaterThan(5000);
});

test('the store is consistent after random calls, one by one and at once', { timeout: FUZZ_TIMEOUT_MS }, async () => {
  const all = worlds();
  const first = await all.get();
  await first.begin();
  const entryCount = first.entries().length;
  await first.end([]);
  const anyCall = fc.record({
    entry: fc.nat(entryCount - 1),
    args: fc.array(anyArgument, { maxLength: 4 }),
    isAwaited: fc.boolean(),
  });
  const play = async (calls: readonly { entry: number; args: string[]; isAwaited: boolean }[]) => {
    const world = await all.get();
    await world.begin();
    const entries = world.entries();
    const underWay: Promise<unknown>[] = [];
    for (const { entry, args, isAwaited } of calls) {
      const ending = callWith(entries[entry], args).then(endStream);
      ending.catch(() => undefined);
      underWay.push(ending);
      if (isAwaited) await ending;
    }
    await world.end(await Promise.all(underWay));
  };
  await fc.assert(fc.asyncProperty(fc.array(anyCall, { minLength: 1, maxLength: 40 }), play), fuzzRuns(RUNS));
});

test('createStore and openStore refuse each odd argument with a code', { timeout: FUZZ_TIMEOUT_MS }, async () => {
  const device = { kind: 'memory', sizeBytes: 1 << 20, arenaBytes: 0 };
  const options = [
    'device',
    'threads',
    'bstype',
    'durability',
    'openExternalSnapshot',
    'lock',
    'requestsMax',
    'keepAlive',
    'lowSpaceBytes',
  ];
  const own = {
    createStore: ['clusterSizeBytes', 'mdPageCount', 'clearMethod'],
    openStore: ['grow', 'recover', 'onDamage', 'onBlob'],
  };
  const failures: unknown[] = [];
  const tell = (failure: unknown) => failures.push(failure);
  for (const [label, call] of Object.entries({ createStore, openStore })) {
    const closing = async (store: Promise<{ close(): Promise<void> }>) => (await store).close();
    const made = (given: unknown) => call(given as never);
    const whole = {
      label,
      call: (given: unknown) => closing(made(given)),
      right: [],
      isPromise: true,
      notCodes: ['EIO'],
    };
    for (const odd of ODD_NAMES) {
      await callWith(whole, [odd]).catch(tell);
      for (const name of [...options, ...own[label as keyof typeof own], 'signal']) {
        if (name === 'threads' && odd === '1') continue; // a valid value, and slow
        const one = (given: unknown) => closing(made({ device, [name]: given }));
        await callWith({ ...whole, label: `${label} ${name}`, call: one }, [odd]).catch(tell);
      }
    }
  }
  expect(failures).toEqual([]);
});
