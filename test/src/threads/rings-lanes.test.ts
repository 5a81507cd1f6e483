/** The choice of the worker for a request. */

import { expect, test } from 'vitest';
import { WorkerLanes } from '../../../packages/workers/dist/io-pool/rings/worker-lanes.js';

interface Lane {
  hasRoom: boolean;
  load: number;
  pace: number;
  answered: number;
  ring(): void;
}

function lanes(count: number, copyingMax: number) {
  const all: Lane[] = Array.from({ length: count }, () => ({
    hasRoom: true,
    load: 0,
    pace: 1000,
    answered: 0,
    ring: () => undefined,
  }));
  const set = new WorkerLanes<Lane>(copyingMax);
  for (const lane of all) set.add(lane);
  /** Distributes requests. Returns the number of requests that each worker has then. */
  const give = (requests: number, weight = 1) => {
    for (let request = 0; request < requests; request++) {
      const lane = set.pick(weight);
      if (lane) lane.load += weight;
    }
    return all.map(({ load }) => load);
  };
  return { all, set, give };
}

test('a short run stays with one worker, a long one is spread', () => {
  const { give } = lanes(3, 3);
  expect(give(5)).toEqual([5, 0, 0]);
  const loads = give(295);
  expect(loads.reduce((sum, load) => sum + load)).toBe(300);
  expect(Math.max(...loads) - Math.min(...loads)).toBeLessThanOrEqual(5);
});

test('large requests are spread at once', () => {
  expect(lanes(3, 3).give(3, 65)).toEqual([65, 65, 65]);
});

test('no more workers that only copy are used than there are processors for them', () => {
  expect(lanes(4, 2).give(100).slice(2)).toEqual([0, 0]);
  const { all, give } = lanes(2, 1);
  expect(give(10)).toEqual([10, 0]);
  all[0].hasRoom = false;
  expect(give(10)).toEqual([10, 10]);
});

test('large requests use one worker more', () => {
  expect(lanes(4, 1).give(4, 16)).toEqual([64, 0, 0, 0]);
  expect(lanes(4, 1).give(4, 17)).toEqual([34, 34, 0, 0]);
});

test('workers that wait for a medium are all used', () => {
  const { all, give } = lanes(4, 1);
  for (const lane of all) lane.pace = 100_000;
  expect(Math.min(...give(40))).toBeGreaterThan(5);
});

test('a worker without room, or one that was removed, gets no requests', () => {
  const { all, set, give } = lanes(2, 2);
  give(1);
  all[0].hasRoom = false;
  expect(set.pick(1)).toBe(all[1]);
  set.remove(all[1]);
  expect(set.pick(1)).toBeUndefined();
  all[0].hasRoom = true;
  expect(set.pick(1)).toBe(all[0]);
});

test('answers are taken from all workers in turn, and no more than asked for', () => {
  const { all, set } = lanes(3, 3);
  for (const lane of all) lane.answered = 10;
  const first: Lane[] = [];
  for (let round = 0; round < 3; round++) {
    const taken = set.reap(10, (lane, limit) => {
      first.push(lane);
      return Math.min(limit, lane.answered);
    });
    expect(taken).toBe(10);
  }
  expect(new Set(first)).toEqual(new Set(all));
});
