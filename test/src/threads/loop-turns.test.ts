/** Time slices of the event loop's turns, with a mocked clock. */

import { expect, test } from 'vitest';
import { type LoopClock, LoopTurns } from '../../../packages/workers/dist/data/loop-turns.js';

/** A clock that only the test advances, and an event loop that only the test turns. */
class TestLoop implements LoopClock {
  ms = 100;
  looks = 0;
  readonly #callbacks: (() => void)[] = [];

  now(): number {
    this.looks++;
    return this.ms;
  }

  afterTurn(callback: () => void): void {
    this.#callbacks.push(callback);
  }

  async turn(): Promise<void> {
    for (const callback of this.#callbacks.splice(0)) callback();
    for (let at = 0; at < 100; at++) await undefined;
  }
}

/** Work that takes `costMs` milliseconds. It adds its name to `log` when it begins. */
async function work(turns: LoopTurns, loop: TestLoop, log: string[], name: string, costMs: number): Promise<void> {
  const turn = turns.pass();
  if (turn !== undefined) await turn;
  log.push(name);
  loop.ms += costMs;
}

test('work within the slice passes at once, later work waits for the next turn', async () => {
  const loop = new TestLoop();
  const turns = new LoopTurns(5, loop);
  const log: string[] = [];
  for (const name of ['a', 'b', 'c', 'd', 'e']) void work(turns, loop, log, name, 2);
  expect(log).toEqual(['a', 'b', 'c']);
  await loop.turn();
  expect(log).toEqual(['a', 'b', 'c', 'd', 'e']);
});

test('waiting work goes on one by one, as much as fits into a turn', async () => {
  const loop = new TestLoop();
  const turns = new LoopTurns(5, loop);
  const log: string[] = [];
  for (let at = 0; at < 8; at++) void work(turns, loop, log, `${at}`, 3);
  const begun: number[] = [];
  for (; log.length < 8; await loop.turn()) begun.push(log.length);
  expect(begun).toEqual([2, 4, 6]);
  expect(log).toEqual(['0', '1', '2', '3', '4', '5', '6', '7']);
});

test('a slice begins with the first work of a turn: a turn that was long ago does not count', async () => {
  const loop = new TestLoop();
  const turns = new LoopTurns(5, loop);
  expect(turns.pass()).toBeUndefined();
  await loop.turn();
  loop.ms += 1000;
  expect(turns.pass()).toBeUndefined();
  loop.ms += 4;
  expect(turns.pass()).toBeUndefined();
  loop.ms += 1;
  expect(turns.pass()).toBeInstanceOf(Promise);
});

test('the clock is read for every eighth piece of quick work, and for each one if the work is slow', () => {
  const loop = new TestLoop();
  const turns = new LoopTurns(5, loop);
  expect(turns.tryPass(true)).toBe(true);
  for (let at = 0; at < 80; at++) {
    loop.ms += 0.01;
    expect(turns.pass(true)).toBeUndefined();
  }
  expect(loop.looks).toBeLessThanOrEqual(12);
  loop.looks = 0;
  let passed = 0;
  while (turns.pass(true) === undefined) {
    loop.ms += 0.5;
    passed++;
  }
  expect(passed).toBeLessThanOrEqual(8 + 10); // 8 without a look at the clock, and then 10 that fit
});

test('the clock is read each time for work that is not quick', () => {
  const loop = new TestLoop();
  const turns = new LoopTurns(5, loop);
  expect(turns.tryPass(true)).toBe(true);
  expect(turns.tryPass(true)).toBe(true);
  loop.ms += 6;
  expect(turns.tryPass()).toBe(false);
  expect(turns.pass()).toBeInstanceOf(Promise);
});

test('waiting work begins before a synchronous call, in order', async () => {
  const loop = new TestLoop();
  const turns = new LoopTurns(5, loop);
  const log: string[] = [];
  expect(turns.tryPass()).toBe(true);
  loop.ms += 6;
  const answers = ['a', 'b'].map((name) => turns.later(() => log.push(name)));
  const failing = turns.later(() => {
    throw new Error('c');
  });
  expect([turns.isWaiting, log]).toEqual([true, []]);
  turns.beginWaiting();
  expect([turns.isWaiting, log]).toEqual([false, ['a', 'b']]);
  expect(await Promise.all(answers)).toEqual([1, 2]);
  await expect(failing).rejects.toThrow('c');
  await loop.turn();
  expect(turns.tryPass()).toBe(true);
});
