/**
 * The coalescer: callers that ask for an action while it runs share the next run. Its outcome reaches all of them, and
 * a synchronous caller that cannot wait does not hold up the others.
 */

import { run, runSync, type Steps } from '@blobyard/core';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Coalescer } from '../../../packages/core/dist/steps/coalescer.js';

const tick = () => new Promise<void>((resolve) => setImmediate(resolve));

/** An action that counts its runs. A run lasts until the test ends it. */
class Action {
  started = 0;
  ended = 0;
  running = 0;
  runningMax = 0;
  #open: { release: () => void; fail: (error: Error) => void }[] = [];

  readonly steps = (): Steps<void> => this.#steps();

  *#steps(): Steps<void> {
    this.started++;
    this.runningMax = Math.max(this.runningMax, ++this.running);
    try {
      yield new Promise<void>((resolve, reject) => this.#open.push({ release: resolve, fail: reject }));
      this.ended++;
    } finally {
      this.running--;
    }
  }

  /** Ends the run under way, and waits until the callers have seen that. */
  async release(): Promise<void> {
    this.#open.shift()?.release();
    await tick();
  }

  async fail(message: string): Promise<void> {
    this.#open.shift()?.fail(new Error(message));
    await tick();
  }
}

/** The state of a promise: `pending`, `done`, or the message of its error. */
function watch(promise: Promise<void>): { state: string } {
  const watched = { state: 'pending' };
  promise.then(
    () => {
      watched.state = 'done';
    },
    (error: Error) => {
      watched.state = error.message;
    },
  );
  return watched;
}

test('callers that ask while a run is under way share the next one', async () => {
  const coalescer = new Coalescer();
  const action = new Action();
  const ask = () => watch(run(coalescer.run(action.steps)));
  const first = ask();
  const later = [ask(), ask(), ask()];
  await tick();
  expect([action.started, coalescer.isRunning]).toEqual([1, true]);
  await action.release();
  expect([first.state, action.started, ...later.map(({ state }) => state)]).toEqual([
    'done',
    2,
    'pending',
    'pending',
    'pending',
  ]);
  await action.release();
  expect(later.map(({ state }) => state)).toEqual(['done', 'done', 'done']);
  expect([action.started, coalescer.isRunning]).toEqual([2, false]);
});

test('a caller that asks during the second run waits for a third one', async () => {
  const coalescer = new Coalescer();
  const action = new Action();
  const ask = () => watch(run(coalescer.run(action.steps)));
  ask();
  ask();
  await action.release();
  const late = ask();
  await action.release();
  expect([action.started, late.state]).toEqual([3, 'pending']);
  await action.release();
  expect(late.state).toBe('done');
});

test('an error reaches all callers that shared the run, and no others', async () => {
  const coalescer = new Coalescer();
  const action = new Action();
  const ask = () => watch(run(coalescer.run(action.steps)));
  const first = ask();
  const second = [ask(), ask()];
  await action.fail('first failed');
  expect(first.state).toBe('first failed');
  const third = ask();
  await action.fail('second failed');
  expect(second.map(({ state }) => state)).toEqual(['second failed', 'second failed']);
  await action.release();
  expect([third.state, coalescer.isRunning]).toEqual(['done', false]);
});

test('a synchronous caller that cannot wait gets ENOTSUP, and the others go on', async () => {
  const coalescer = new Coalescer();
  const action = new Action();
  const first = watch(run(coalescer.run(action.steps)));
  const notSupported = expect.objectContaining({ code: 'ENOTSUP' });
  expect(() => runSync(coalescer.run(action.steps))).toThrow(notSupported); // it would have started the next run
  const second = watch(run(coalescer.run(action.steps)));
  expect(() => runSync(coalescer.run(action.steps))).toThrow(notSupported); // it would have shared the next run
  await action.release();
  expect([first.state, second.state]).toEqual(['done', 'pending']);
  await action.release();
  expect([second.state, action.started, coalescer.isRunning]).toEqual(['done', 2, false]);
  const third = watch(run(coalescer.run(action.steps)));
  await action.release();
  expect(third.state).toBe('done');
});

test('synchronous runs one after another leave the coalescer idle', () => {
  const coalescer = new Coalescer();
  let runs = 0;
  function* once(): Steps<void> {
    runs++;
    yield undefined;
  }
  for (let round = 0; round < 10; round++) runSync(coalescer.run(once));
  expect([runs, coalescer.isRunning]).toEqual([10, false]);
});

test('an action that throws at once leaves the coalescer idle', () => {
  const coalescer = new Coalescer();
  const broken = (): Steps<void> => {
    throw new Error('broken');
  };
  expect(() => runSync(coalescer.run(broken))).toThrow('broken');
  expect(coalescer.isRunning).toBe(false);
});

test('in any order, two runs never overlap, and each caller gets a run that began after it asked', async () => {
  const schedule = fc.array(fc.constantFrom('ask', 'ask', 'askSync', 'release', 'fail'), {
    maxLength: 40,
    size: 'max',
  });
  await fc.assert(
    fc.asyncProperty(schedule, async (events) => {
      const coalescer = new Coalescer();
      const action = new Action();
      const asked: { startedBefore: number; watched: { state: string }; startedAtEnd: () => number }[] = [];
      for (const event of events) {
        if (event === 'ask') {
          const startedBefore = action.started;
          let startedAtEnd = Number.POSITIVE_INFINITY;
          const note = () => {
            startedAtEnd = action.started;
          };
          const promise = run(coalescer.run(action.steps));
          promise.then(note, note);
          asked.push({ startedBefore, watched: watch(promise), startedAtEnd: () => startedAtEnd });
        } else if (event === 'askSync' && coalescer.isRunning) {
          expect(() => runSync(coalescer.run(action.steps))).toThrow(expect.objectContaining({ code: 'ENOTSUP' }));
        } else if (event === 'release') await action.release();
        else if (event === 'fail') await action.fail('failed');
      }
      for (let round = 0; round < 50 && coalescer.isRunning; round++) await action.release();
      expect(coalescer.isRunning).toBe(false);
      expect(action.runningMax).toBeLessThanOrEqual(1);
      for (const { startedBefore, watched, startedAtEnd } of asked) {
        expect(watched.state).not.toBe('pending');
        expect(startedAtEnd()).toBeGreaterThan(startedBefore);
      }
    }),
    { numRuns: 150 },
  );
});
