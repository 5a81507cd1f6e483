/** Runs that would overlap become one; what they answer reaches who asked, and who cannot wait stops nobody. */

import { run, runSync, type Steps } from '@blobyard/core';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Coalescer } from '../../../packages/core/dist/steps/coalescer.js';

const tick = () => new Promise<void>((resolve) => setImmediate(resolve));

/** An action whose runs are told apart, and last as long as the test says. */
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

  /** Ends the run under way, and lets everyone else go on. */
  async release(): Promise<void> {
    this.#open.shift()?.release();
    await tick();
  }

  async fail(message: string): Promise<void> {
    this.#open.shift()?.fail(new Error(message));
    await tick();
  }
}

/** How a promise stands. */
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

test('those that ask while a run is under way share the next one', async () => {
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

test('who asks during the second run waits for a third', async () => {
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

test('an error reaches all who shared the run, and nobody else', async () => {
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
  expect(() => runSync(coalescer.run(action.steps))).toThrow(notSupported); // it would have led the next round
  const second = watch(run(coalescer.run(action.steps)));
  expect(() => runSync(coalescer.run(action.steps))).toThrow(notSupported); // it would have joined it
  await action.release();
  expect([first.state, second.state]).toEqual(['done', 'pending']);
  await action.release();
  expect([second.state, action.started, coalescer.isRunning]).toEqual(['done', 2, false]);
  const third = watch(run(coalescer.run(action.steps)));
  await action.release();
  expect(third.state).toBe('done');
});

test('runs that never wait leave nothing behind', () => {
  const coalescer = new Coalescer();
  let runs = 0;
  function* once(): Steps<void> {
    runs++;
    yield undefined;
  }
  for (let round = 0; round < 10; round++) runSync(coalescer.run(once));
  expect([runs, coalescer.isRunning]).toEqual([10, false]);
});

test('an action that throws at once frees the way', () => {
  const coalescer = new Coalescer();
  const broken = (): Steps<void> => {
    throw new Error('broken');
  };
  expect(() => runSync(coalescer.run(broken))).toThrow('broken');
  expect(coalescer.isRunning).toBe(false);
});

test('whatever the order: never two at once, and everyone is served by a run that began after they asked', async () => {
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
