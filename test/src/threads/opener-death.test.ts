/**
 * The thread that opened a store ends in any way: the calls of all attached threads fail, and no thread writes to the
 * next store in the file.
 */

import { Worker } from 'node:worker_threads';
import { acquireStoreLock, type DeviceSpec, MemoryDevice } from '@blobyard/io';
import { attach, openStore, type Store } from '@blobyard/workers';
import { describe, expect, onTestFinished, test } from 'vitest';
import { Actor, CLUSTER, codesOf, expectCode, expectFilled, manyTurns, UNIT, until, watched } from './actors.js';
import { Gate } from './gate.js';
import type { Opened, OpenerData, OpenerOrder } from './opener.js';
import { temporaryFile } from './support.js';

const OPENER = new URL('../../dist/threads/opener.js', import.meta.url);
const SIZE = 4096 * 1024;
const DEATHS = ['terminate', 'throw', 'exit', 'memory'] as const;
const ORPHANED = /threads that were attached to it when the thread that had opened it ended/;

class Opener {
  readonly opened: Opened;
  readonly #worker: Worker;

  private constructor(worker: Worker, opened: Opened) {
    this.#worker = worker;
    this.opened = opened;
  }

  static async start(device: DeviceSpec, threads: number): Promise<Opener> {
    const workerData: OpenerData = { device, threads, clusterSizeBytes: CLUSTER };
    const worker = new Worker(OPENER, { workerData, stderr: true, resourceLimits: { maxOldGenerationSizeMb: 48 } });
    onTestFinished(() => worker.terminate().then(() => undefined));
    const opened = await new Promise<Opened>((resolve, reject) =>
      worker.once('message', resolve).once('error', reject),
    );
    worker.on('error', () => undefined); // as wanted
    return new Opener(worker, opened);
  }

  /** Blocks the opener's thread at a gate, so that it serves no other thread. */
  async stand(): Promise<void> {
    const gate = new Gate();
    gate.shut();
    this.#tell({ gate: gate.buffer });
    await gate.held();
  }

  async die(how: 'terminate' | Exclude<OpenerOrder, object>): Promise<void> {
    const gone = new Promise((resolve) => this.#worker.once('exit', resolve));
    if (how === 'terminate') void this.#worker.terminate();
    else this.#tell(how);
    await gone;
  }

  #tell(order: OpenerOrder): void {
    this.#worker.postMessage(order);
  }
}

/** A store in a file on an opener's thread, and an attached thread that has its blob open. */
async function fileYard(threads: number) {
  const path = await temporaryFile();
  const opener = await Opener.start({ kind: 'file', path, create: true, sizeBytes: SIZE }, threads);
  return { path, opener, ...(await actorOf(opener)) };
}

async function actorOf({ opened }: Opener) {
  const actor = new Actor();
  await actor.do('attach', opened.handle);
  return { actor, its: (await actor.do('openSync', opened.id)).blob };
}

const openFile = (path: string) => openStore({ device: { kind: 'file', path } });

/** Opens the store as soon as its file is free. */
async function openWhenFree(path: string): Promise<Store> {
  for (;;) {
    try {
      return await openFile(path);
    } catch (error) {
      expect(error).toMatchObject({ code: 'EBUSY', message: expect.stringMatching(ORPHANED) });
      await manyTurns();
    }
  }
}

/** Expects that detaching from a failed store with open blobs fails once, and releases everything. */
async function expectLetsGo(actor: Actor): Promise<void> {
  expect(codesOf(await actor.together(['detach']))).toEqual(['EIO']);
  await actor.do('detach');
}

/** Expects that a handle of the old store changes nothing in the next store in the file. */
async function expectHarmless(actor: Actor, its: number, path: string): Promise<void> {
  const store = await openWhenFree(path);
  await store.delete({ name: 'old' });
  const next = await store.create({ name: 'next', sizeBytes: 4 * CLUSTER });
  await next.write(new Uint8Array(4 * CLUSTER).fill(2), 0);
  for (let round = 0; round < 20; round++) {
    const late = [['writeSync', its, 0, UNIT, 9] as const, ['write', its, UNIT, UNIT, 9] as const];
    expect(codesOf(await actor.together(...late, ['read', its, 0, UNIT]))).toEqual(['EIO', 'EIO', 'EIO']);
  }
  expectFilled(await next.read(0, 4 * CLUSTER), 2);
  store.engine.blobstore.verify();
  await expectLetsGo(actor);
  expectFilled(await next.read(0, 4 * CLUSTER), 2);
  await store.close();
}

describe.each([
  ['inline', 0],
  ['in pool mode', 1],
])('an opener, %s,', (_, threads) => {
  test.each(threads === 0 ? DEATHS : DEATHS.slice(0, 2))(
    'that ends by "%s" makes the calls of a thread fail that makes only synchronous ones',
    async (how) => {
      const { path, opener, actor, its } = await fileYard(threads);
      const rounds = new Int32Array(new SharedArrayBuffer(4));
      const looping = actor.do('writeSyncUntilFailure', its, rounds.buffer);
      await until(() => Atomics.load(rounds, 0) > 0);
      await opener.die(how);
      expect(await looping).toBe('EIO');
      await expectHarmless(actor, its, path);
    },
  );

  test('that ends while a thread is in the middle of a write leaves the file locked until the write has ended', async () => {
    const { path, opener, actor, its } = await fileYard(threads);
    const gate = new Gate();
    await actor.do('stopAt', 'cluster taken', gate.buffer);
    gate.shut();
    const writing = watched(actor.do('writeSync', its, 2 * CLUSTER, UNIT, 9));
    await gate.held();
    await opener.die('terminate');
    for (let round = 0; round < 3; round++) {
      await expectBusy(path);
      await manyTurns();
    }
    expect(writing.isSettled).toBe(false);
    gate.open(); // the thread writes its cluster now, and no metadata thread can insert it
    await expectCode(writing.promise, 'EIO');
    await expectHarmless(actor, its, path);
  });

  test('that ends leaves the file locked until the last blocked thread has ended', async () => {
    const { path, opener, actor } = await fileYard(threads);
    const still = await actorOf(opener);
    const gate = new Gate();
    gate.shut();
    void still.actor.do('standStill', gate.buffer);
    await gate.held();
    await opener.die('terminate');
    await expectBusy(path);
    await actor.kill();
    await expectBusy(path);
    await still.actor.kill();
    await (await openFile(path)).close();
  });

  test('that ends makes an idle thread release the file without a call', async () => {
    const { path, opener, actor, its } = await fileYard(threads);
    await opener.die('terminate');
    await expectHarmless(actor, its, path);
  });

  test('that ends makes the calls of waiting threads fail, blocking ones and promises', async () => {
    const { path, opener, actor, its } = await fileYard(threads);
    const second = await actorOf(opener);
    if (threads === 0) await opener.stand();
    const late = Promise.all([
      actor.together(['writeSync', its, 2 * CLUSTER, UNIT, 3], ['openSync', opener.opened.id]),
      second.actor.together(['write', second.its, 3 * CLUSTER, UNIT, 3], ['open', opener.opened.id]),
    ]);
    await opener.die('terminate');
    const codes = (await late).flatMap(codesOf);
    for (const code of codes) expect(threads === 0 ? ['EIO'] : ['EIO', 'ok']).toContain(code);
    await expectLetsGo(second.actor);
    await expectHarmless(actor, its, path);
  });

  test('that has ended leaves the file free, and no thread can attach any more', async () => {
    const { path, opener, actor } = await fileYard(threads);
    await actor.kill();
    await opener.die('terminate');
    await expectCode(new Actor().do('attach', opener.opened.handle), 'EIO');
    await expectCode(attach(opener.opened.handle), 'EIO');
    await (await openFile(path)).close();
    await expectCode(new Actor().do('attach', opener.opened.handle), 'EIO');
  });

  test('of a store in memory, which has no lock, makes the calls of its threads fail, too', async () => {
    const { memory } = MemoryDevice.create({ sizeBytes: SIZE });
    const opener = await Opener.start({ kind: 'memory', memory }, threads);
    const { actor, its } = await actorOf(opener);
    const second = await actorOf(opener);
    const rounds = new Int32Array(new SharedArrayBuffer(4));
    const looping = actor.do('writeSyncUntilFailure', its, rounds.buffer);
    await until(() => Atomics.load(rounds, 0) > 0);
    await opener.die('terminate');
    expect(await looping).toBe('EIO');
    await expectCode(second.actor.do('writeSync', second.its, 0, UNIT, 9), 'EIO');
    await expectCode(attach(opener.opened.handle), 'EIO');
  });
});

async function expectBusy(path: string): Promise<void> {
  await expect(openFile(path)).rejects.toMatchObject({ code: 'EBUSY', message: expect.stringMatching(ORPHANED) });
  expect(() => acquireStoreLock(path, { shared: true })).toThrow(ORPHANED);
}
