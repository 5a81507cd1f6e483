/** The way to sleep on either side of a ring: an event at any point of it must wake the sleeper. */

import { expect, test } from 'vitest';
import type { BellHooks } from '../../../packages/workers/dist/io-pool/rings/bell.js';
import { RING } from '../../../packages/workers/dist/io-pool/rings/ring-layout.js';
import { Random } from '../random.js';
import { ANY_BLOB, open, RingBench, sharedBytes } from './ring-bench.js';
import { GATE } from './ring-gates.js';

const POINTS = ['announced', 'looked'] as const;

test.each(POINTS)('a worker sees a request that comes when it has %s on its way to sleep', async (stopAt) => {
  const bench = new RingBench();
  const { gates } = bench.add({ stopAt });
  const buffer = sharedBytes(64);
  for (let round = 0; round < 50; round++) {
    // The worker waits there until it is let go on, and has not seen the request before.
    Atomics.wait(gates, GATE.STAGE, round);
    expect(gates[GATE.STAGE]).toBe(round + 1);
    const before = gates[GATE.BEGUN];
    const read = bench.client.read(ANY_BLOB, buffer, 0, 1);
    expect(gates[GATE.BEGUN]).toBe(before);
    Atomics.store(gates, GATE.GO, round + 1);
    Atomics.notify(gates, GATE.GO);
    await read;
  }
});

test.each(POINTS)('a client sees an answer that comes when it has %s on its way to sleep', async (point) => {
  let stops = 0;
  let inHook: (() => void) | undefined;
  const hooks: BellHooks = {
    [point]() {
      stops++;
      inHook?.();
    },
  };
  const bench = new RingBench({ hooks });
  const { gates, ring } = bench.add({ answers: 'now' });
  const header = new Int32Array(ring.ring, 0, RING.WORDS);
  const buffer = sharedBytes(64);
  for (let round = 0; round < 50; round++) {
    Atomics.store(gates, GATE.HOLD, 1);
    // Only the hook lets the worker go on, and the hook lasts until the worker has answered.
    inHook = () => {
      const answered = header[RING.COMPLETED];
      open(gates, GATE.HOLD);
      while (Atomics.load(header, RING.COMPLETED) === answered);
      inHook = undefined;
    };
    const before = stops;
    await bench.client.read(ANY_BLOB, buffer, 0, 1);
    expect(stops).toBeGreaterThan(before);
  }
});

test('wake-ups are not lost when both sides sleep again and again', async () => {
  const bench = new RingBench({ entries: 4 });
  const workers = [bench.add({ answers: 'slow' }), bench.add({ answers: 'slow' })];
  const random = new Random(5);
  const buffer = sharedBytes(64 * 64);
  const rounds = 3000;
  let requests = 0;
  for (let round = 0; round < rounds; round++) {
    const burst = 1 + Math.floor(random.fraction() * random.fraction() * 12);
    requests += burst;
    await Promise.all(
      Array.from({ length: burst }, (_, index) => bench.client.read(ANY_BLOB, buffer, index, 1, index * 64)),
    );
    if (round % 2 === 0) continue;
    const until = performance.now() + random.fraction() * 0.15;
    while (performance.now() < until);
  }
  expect(workers.reduce((sum, { gates }) => sum + gates[GATE.BEGUN], 0)).toBe(requests);
});
