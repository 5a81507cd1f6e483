/**
 * The event loop keeps turning while a store works on its thread. The tests mock the clock (`performance.now`): only
 * the requests of the device and looks at the clock advance it. Between two turns of the event loop it may advance by
 * 10 ms at most.
 */

import { once } from 'node:events';
import { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type Blob, SparseMemoryDevice, type Store } from 'blobyard';
import type { BlockDevice, DeviceChannel } from 'blobyard/devices';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import { bytes, CLUSTER, expectCode, isPooled, KiB, MiB, memory, testStore } from './support.js';

/** The cost of a request, and of each MiB that it moves, in milliseconds. */
const REQUEST_MS = 0.25;
const MIB_MS = 1;
/** The cost of a look at the clock, in milliseconds: it stands for the time of work that reaches no device. */
const LOOK_MS = 0.01;

let clock = 0;
let turnedAt = 0;
let longest = 0;

/** Counts the turns of the event loop from now on, and resets `longest`, the longest time between two of them in ms. */
class Turns {
  count = 0;
  #isWatching = true;

  constructor() {
    turnedAt = clock;
    longest = 0;
    this.#watch();
  }

  #watch(): void {
    setImmediate(() => {
      this.count++;
      turnedAt = clock;
      if (this.#isWatching) this.#watch();
    });
  }

  end(): void {
    this.#isWatching = false;
  }
}

function spend(ms: number): void {
  clock += ms;
  longest = Math.max(longest, clock - turnedAt);
}

/** The bytes that a request moves on a device with blocks of 4 KiB. */
function lengthBytes(name: string, given: readonly unknown[]): number {
  if (name === 'flush' || name === 'close') return 0;
  const length = given.at(name.endsWith('v') ? 2 : -1) as number;
  return name.endsWith('Bytes') ? length : length * 4096;
}

/** A synchronous device whose requests advance the clock. */
function costly(sizeBytes: number): BlockDevice {
  const device = new SparseMemoryDevice({ sizeBytes, blockLengthBytes: 4096 });
  const costlyChannel = (channel: DeviceChannel) =>
    new Proxy(channel, {
      get(target, name) {
        const method = Reflect.get(target, name) as unknown;
        if (typeof method !== 'function') return method;
        return (...given: unknown[]) => {
          spend(REQUEST_MS + (lengthBytes(name.toString(), given) / MiB) * MIB_MS);
          return method.apply(target, given) as unknown;
        };
      },
    });
  return new Proxy(device, {
    get(target, name) {
      if (name === 'openChannel') return () => costlyChannel(target.openChannel());
      const member = Reflect.get(target, name, target) as unknown;
      return typeof member === 'function' ? member.bind(target) : member;
    },
  });
}

beforeEach(() => {
  clock = Math.max(clock, performance.now()) + 1000; // a time slice of the store may have begun by the real clock
  vi.spyOn(performance, 'now').mockImplementation(() => {
    clock += LOOK_MS;
    return clock;
  });
  return () => vi.restoreAllMocks();
});

/** Does work that takes more than 50 ms. Expects the event loop to have turned every 10 ms or more often meanwhile. */
async function expectTurns(work: () => Promise<unknown>): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
  const began = clock;
  const turns = new Turns();
  await work();
  turns.end();
  expect(clock - began, 'what the work took').toBeGreaterThan(50);
  expect(turns.count).toBeGreaterThan(4);
  expect(longest).toBeLessThanOrEqual(10);
}

interface Ground {
  readonly store: Store;
  readonly blob: Blob;
}

async function ground(clusterSizeBytes = CLUSTER, sizeBytes = 16 * MiB, thin = false): Promise<Ground> {
  const store = await testStore(costly(4 * sizeBytes), { clusterSizeBytes });
  return { store, blob: await store.create({ sizeBytes, thin }) };
}

async function times(count: number, work: (at: number) => Promise<unknown>): Promise<void> {
  for (let at = 0; at < count; at++) await work(at);
}

describe.skipIf(isPooled)('the event loop turns every 10 ms or more often during', () => {
  const page = bytes(4 * KiB);

  test('a loop of awaited writes and reads, aligned or not', async () => {
    const { blob } = await ground();
    await expectTurns(() => times(300, (at) => blob.write(page, (at % 100) * 4096)));
    await expectTurns(() => times(300, (at) => blob.read((at % 100) * 4096, page)));
    await expectTurns(() => times(300, (at) => blob.read((at % 100) * 4096 + 1, 4096)));
    await expectTurns(() => times(300, (at) => blob.write(page, at * 4096 + 7)));
    await expectTurns(() => times(300, (at) => blob.writev([page, page], at * 8192)));
  });

  test('loops of first writes, of trims and of writes of zeroes', async () => {
    const { blob } = await ground(CLUSTER, 16 * MiB, true);
    await expectTurns(() => times(200, (at) => blob.write(page, at * CLUSTER)));
    await expectTurns(() => times(200, (at) => blob.writeZeroes(at * CLUSTER, CLUSTER)));
    await expectTurns(() => times(200, (at) => blob.trim(at * CLUSTER, 4096)));
  });

  test('a loop of flushes and syncs', async () => {
    const { store, blob } = await ground();
    await expectTurns(() => times(200, () => blob.flush()));
    await expectTurns(() => times(200, () => store.flush()));
  });

  test('loops of creating, opening, renaming and deleting', async () => {
    const { store } = await ground();
    const make = async (at: number) => (await store.create({ name: `${at}`, xattrs: { a: 'b' } })).close();
    await expectTurns(() => times(80, make));
    await expectTurns(() => times(300, async (at) => (await store.open({ name: `${at % 80}` })).close()));
    await expectTurns(() =>
      times(80, async (at) => {
        const blob = await store.open({ name: `${at}` });
        await blob.xattrs.set('name', `new ${at}`);
        await blob.close();
      }),
    );
    await expectTurns(() => times(80, (at) => store.delete({ name: `new ${at}` })));
  });

  test('many operations at once', async () => {
    const { store, blob } = await ground();
    const all = (count: number, begin: (at: number) => Promise<unknown>) => () =>
      Promise.all(Array.from({ length: count }, (_, at) => begin(at)));
    await expectTurns(all(1500, (at) => blob.write(page, (at % 1000) * 4096)));
    await expectTurns(all(600, (at) => blob.write(page, at * 4096 + 9)));
    await expectTurns(all(200, async (at) => (await store.create({ name: `${at}` })).close()));
    await expectTurns(all(200, (at) => store.delete({ name: `${at}` })));
  });

  test('one long transfer', async () => {
    const { blob } = await ground(1 * MiB, 128 * MiB);
    const long = new Uint8Array(100 * MiB).fill(3);
    await expectTurns(() => blob.write(long, 0));
    await expectTurns(() => blob.write(long, 5));
    await expectTurns(() => blob.read(3, long));
    await expectTurns(() => blob.readv(0, [long.subarray(0, 1000), long.subarray(1000)]));
    await expectTurns(() => blob.writeZeroes(1, 100 * MiB));
    await expectTurns(() => blob.trim(1, 100 * MiB));
  });

  test('streams', async () => {
    const { blob } = await ground();
    const chunk = bytes(64 * KiB);
    await expectTurns(() =>
      pipeline(Readable.from(Array(200).fill(chunk)), blob.createWriteStream({ highWaterMark: 1 })),
    );
    const into = new Writable({ write: (_chunk, _encoding, done) => done() });
    await expectTurns(() => pipeline(blob.createReadStream({ highWaterMark: 64 * KiB }), into));
    const stream = blob.createReadStream({ highWaterMark: 64 * KiB });
    stream.resume();
    await expectTurns(() => once(stream, 'end'));
  });

  test('several long operations at once and a loop beside them, all of which go on', async () => {
    const { blob } = await ground(CLUSTER, 64 * MiB, true);
    await blob.write(new Uint8Array(8 * MiB).fill(1), 0);
    const snapshot = await blob.snapshot();
    const clones = await Promise.all([1, 2].map(() => snapshot.clone()));
    let isDone = false;
    let written = 0;
    await expectTurns(async () => {
      const inflating = Promise.all([
        ...clones.map((clone) => clone.inflate()),
        snapshot.copyTo(costly(64 * MiB)),
      ]).finally(() => {
        isDone = true;
      });
      for (; !isDone; written++) await blob.write(page, (written % 100) * 4096);
      await inflating;
    });
    expect(written).toBeGreaterThan(200);
  });

  test('work that reaches no device, and work that fails', async () => {
    const { store, blob } = await ground();
    const works: (() => Promise<unknown>)[] = [
      () => blob.info(),
      () => store.stats(),
      () => blob.read(0, 0),
      () => blob.xattrs.getText('name'),
      () => expectCode(blob.write(page, 2 ** 40), 'EINVAL'),
      () => expectCode(store.open({ name: 'none' }), 'ENOENT'),
    ];
    for (const [which, work] of works.entries()) {
      const turns = new Turns();
      let count = 0;
      for (; turns.count < 3 && count < 50_000; count++) await work();
      turns.end();
      expect(count, `work ${which}`).toBeLessThan(50_000);
    }
  });
});

test('a write that waits for a turn of the event loop is done before requests that came after it', async () => {
  const store = await testStore(memory());
  const blob = await store.create({ sizeBytes: 8 * CLUSTER });
  const writes = Array.from({ length: 300 }, (_, at) => blob.write(bytes(4 * KiB, at), (at % 8) * CLUSTER));
  await Promise.all([...writes, blob.resize(CLUSTER)]);
  expect(blob.sizeBytes).toBe(CLUSTER);
});
