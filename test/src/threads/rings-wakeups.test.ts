/** Counts of the wake-ups between client and worker, and of the turns of the client's event loop. */

import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test, vi } from 'vitest';
import type { BellHooks } from '../../../packages/workers/dist/io-pool/rings/bell.js';
import { CLIENT, RING } from '../../../packages/workers/dist/io-pool/rings/ring-layout.js';
import { ANY_BLOB, open, RingBench, type RingWorkerOptions, reached, sharedBytes } from './ring-bench.js';
import { GATE, PLAIN_UNIT_BYTES } from './ring-gates.js';

const BATCH = 16;
/** The number of units of a long request, which has 256 KiB. */
const LONG = 262_144 / PLAIN_UNIT_BYTES;

function bench(options: RingWorkerOptions = {}, hooks: BellHooks = {}) {
  const rings = new RingBench({ hooks });
  const { gates, ring } = rings.add({ answers: 'now', isPrompt: true, ...options });
  const buffer = sharedBytes(LONG * PLAIN_UNIT_BYTES);
  return {
    gates,
    client: new Int32Array(ring.client, 0, CLIENT.WORDS),
    worker: new Int32Array(ring.ring, 0, RING.WORDS),
    read: (unit = 0) => rings.client.read(ANY_BLOB, buffer, unit, 1, unit * 64),
    /**
     * Makes requests that the worker finds together, because it was held in an earlier request until all were there.
     */
    readTogether: async (count: number, units = 1) => {
      Atomics.store(gates, GATE.HOLD, 1);
      const before = gates[GATE.BEGUN];
      const first = rings.client.read(ANY_BLOB, buffer, 0, 1);
      await reached(gates, GATE.BEGUN, before + 1);
      const together = Array.from({ length: count }, () => rings.client.read(ANY_BLOB, buffer, 0, units));
      letOn(gates);
      await first;
      await reached(gates, GATE.BEGUN, before + 2);
      return together;
    },
  };
}

/** Lets the request go on in which the worker is held. The worker is held again in the next one. */
function letOn(gates: Int32Array): void {
  while (Atomics.notify(gates, GATE.HOLD) === 0);
}

test('the event loop of a client does not turn for answers that have not come', async () => {
  const { gates, client, read } = bench();
  Atomics.store(gates, GATE.HOLD, 1);
  const reading = read();
  await reached(client, CLIENT.ASLEEP, 1);
  const turns = vi.spyOn(globalThis, 'setImmediate');
  try {
    for (let turn = 0; turn < 20; turn++) await sleep(1);
    expect(turns).not.toHaveBeenCalled();
  } finally {
    turns.mockRestore();
  }
  open(gates, GATE.HOLD);
  await reading;
});

test('a client is woken once for all answers of a batch', async () => {
  const { gates, client, readTogether } = bench();
  for (let round = 0; round < 20; round++) {
    const reads = await readTogether(BATCH);
    await reached(client, CLIENT.ASLEEP, 1);
    const before = client[CLIENT.BELL];
    open(gates, GATE.HOLD);
    await Promise.all(reads);
    expect(client[CLIENT.BELL]).toBe(before + 1);
  }
});

test('a client is woken when half of its long requests are done, before the worker begins the others', async () => {
  const { gates, client, readTogether } = bench();
  const reads = await readTogether(4, LONG);
  await reached(client, CLIENT.ASLEEP, 1);
  const [begun, bell] = [gates[GATE.BEGUN], client[CLIENT.BELL]];
  letOn(gates);
  await reached(gates, GATE.BEGUN, begun + 1);
  expect(client[CLIENT.BELL]).toBe(bell);
  letOn(gates);
  await Promise.all([reads[0], reads[1]]);
  await reached(gates, GATE.BEGUN, begun + 2); // the worker is held in the third one
  expect([client[CLIENT.BELL], gates[GATE.UNDER_WAY]]).toEqual([bell + 1, 1]);
  open(gates, GATE.HOLD);
  await Promise.all(reads);
});

test.each(['announced', 'looked'] as const)(
  'a client that has %s, on its way to sleep in a batch, misses no answer of it',
  async (point) => {
    let inHook: (() => void) | undefined;
    const { gates, worker, read } = bench({}, { [point]: () => inHook?.() });
    for (let round = 0; round < 20; round++) {
      Atomics.store(gates, GATE.HOLD, 1);
      const [begun, answered] = [gates[GATE.BEGUN], worker[RING.COMPLETED]];
      const before = read();
      await reached(gates, GATE.BEGUN, begun + 1);
      const [first, second] = [read(), read()];
      // Here the answer to the first request is published. The client is woken only when the second one has ended.
      inHook = () => {
        inHook = undefined;
        letOn(gates);
        while (Atomics.load(worker, RING.COMPLETED) < answered + 2);
      };
      letOn(gates);
      await before;
      if (point === 'announced') await first;
      await reached(gates, GATE.BEGUN, begun + 3);
      expect(worker[RING.COMPLETED]).toBe(answered + 2);
      open(gates, GATE.HOLD);
      await Promise.all([first, second]);
    }
  },
);

test('a client is woken once for answers of promises that end together', async () => {
  const { gates, client, read } = bench({ answers: 'promises' });
  for (let round = 0; round < 20; round++) {
    Atomics.store(gates, GATE.HOLD_PROMISES, 1);
    const begun = gates[GATE.BEGUN];
    const reads = Array.from({ length: BATCH }, (_, unit) => read(unit));
    await reached(gates, GATE.BEGUN, begun + BATCH);
    await reached(client, CLIENT.ASLEEP, 1);
    const before = client[CLIENT.BELL];
    Atomics.store(gates, GATE.HOLD_PROMISES, 0);
    await Promise.all(reads);
    expect(client[CLIENT.BELL] - before).toBeLessThanOrEqual(3); // they may end in two turns
  }
});

test('a worker whose device may block wakes the client for each answer before it begins the next request', async () => {
  const { gates, readTogether } = bench({ isPrompt: false });
  const [first, second] = await readTogether(2);
  letOn(gates);
  await first;
  await reached(gates, GATE.UNDER_WAY, 1); // the second one, which is held
  open(gates, GATE.HOLD);
  await second;
});

test('a sleeping worker is woken once for all requests of a turn that took several answers', async () => {
  const { gates, worker, read, readTogether } = bench();
  for (let round = 0; round < 20; round++) {
    const [first, second] = await readTogether(2);
    open(gates, GATE.HOLD);
    while (Atomics.load(worker, RING.WORKER_ASLEEP) === 0); // this thread takes no answer before that
    const before = worker[RING.WORKER_BELL];
    const bells: number[] = [];
    const next = async (answer: Promise<void>) => {
      await answer;
      const reads = [read(), read()];
      bells.push(worker[RING.WORKER_BELL]);
      await Promise.all(reads);
    };
    await Promise.all([next(first), next(second)]);
    expect(bells).toEqual([before, before]);
    expect(worker[RING.WORKER_BELL]).toBe(before + 1);
  }
});

test('a sleeping worker is woken at once for a request outside such a turn', async () => {
  const { worker, read } = bench();
  await read();
  await reached(worker, RING.WORKER_ASLEEP, 1);
  const before = worker[RING.WORKER_BELL];
  const reading = read();
  expect(worker[RING.WORKER_BELL]).toBe(before + 1);
  await reading;
});
