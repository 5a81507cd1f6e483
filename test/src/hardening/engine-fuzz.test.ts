/**
 * The engine's own API is called with odd arguments, on the thread of the store: the store itself, channels, `run`,
 * `runSync`, `dumpStore`. Errors of the caller's own getters may reach the caller unwrapped.
 */

import { Blobstore, type Channel, type Blob as EngineBlob } from '@blobyard/core';
import { attach, SparseMemoryDevice } from 'blobyard';
import { dumpStore, run, runSync } from 'blobyard/engine';
import { describe, expect, onTestFinished, test } from 'vitest';
import { underWayOf } from '../../../packages/workers/dist/open/internal.js';
import { bytes, CLUSTER, expectSame, isPooled, MiB, testStore } from '../api/support.js';
import { callWith, type Entry } from './calls.js';
import { ODD_NAMES, RIGHT } from './odd-values.js';
import { methodsOf } from './surface.js';

type Callable = (...args: unknown[]) => unknown;

/** Methods that end their object, or are only for the engine's own parts. */
const NOT_CALLED = [
  'unload',
  'destroy',
  'abandon',
  'close',
  'allocate',
  'thaw',
  'closeExternal',
  'watchFree',
  'setBstype',
];

function device(): SparseMemoryDevice {
  return new SparseMemoryDevice({ sizeBytes: 4 * MiB, blockLengthBytes: 512 });
}

/** Runs the answer if it is steps, so that every answer is a promise or a value. */
async function ran(answer: unknown): Promise<unknown> {
  const isSteps = Object.prototype.toString.call(answer) === '[object Generator]';
  return isSteps ? run(answer as ReturnType<typeof dumpStore>) : answer;
}

async function sweep(entries: readonly Entry[]): Promise<string[]> {
  const failures: string[] = [];
  for (const entry of entries) {
    const places = Math.max(1, entry.right.length);
    for (let place = 0; place < places; place++) {
      for (const odd of ODD_NAMES) {
        const names = Array.from({ length: places }, (_, at) => (at === place ? odd : RIGHT));
        await callWith(entry, names).catch((failure: Error) => failures.push(failure.message.slice(0, 600)));
      }
    }
  }
  return failures;
}

function entriesOf(object: object, right: Readonly<Record<string, readonly unknown[]>>): Entry[] {
  return methodsOf(object)
    .filter((name) => !NOT_CALLED.includes(String(name)))
    .map((name) => ({
      label: String(name),
      call: async (...args) => ran((object as Record<string | symbol, Callable>)[name](...args)),
      right: right[String(name)] ?? [],
      isPromise: true,
      letsTrapsThrough: true,
    }));
}

function channelArguments(blob: object): Record<string, unknown[]> {
  const one = [blob, new Uint8Array(1024), 4, 2, 0];
  const list = [blob, [new Uint8Array(512), new Uint8Array(512)], 4, 2];
  const range = [blob, 4, 2];
  return {
    ...{ read: one, write: one, readSync: one, writeSync: one, tryReadNow: one, tryWriteNow: one },
    ...{ readv: list, writev: list, readvSync: list, writevSync: list },
    ...{ writeZeroes: range, unmap: range, writeZeroesSync: range, unmapSync: range },
  };
}

interface World {
  readonly store: Blobstore;
  readonly blob: EngineBlob;
  readonly foreign: EngineBlob;
  readonly channel: Channel;
}

function world(): World {
  const make = () => runSync(Blobstore.init(device(), { clusterBytes: CLUSTER, mdPageCount: 200 }));
  const [store, other] = [make(), make()];
  const open = (of: Blobstore) => runSync(of.openBlob(runSync(of.createBlob({ clusterCount: 4, thin: true }))));
  return { store, blob: open(store), foreign: open(other), channel: store.openChannel() };
}

describe.skipIf(isPooled)('the engine refuses odd arguments', () => {
  test('of the store', async () => {
    const { store, blob, channel } = world();
    const witness = runSync(store.openBlob(runSync(store.createBlob({ clusterCount: 1 }))));
    channel.writeSync(witness, bytes(CLUSTER, 5), 0, CLUSTER / 512);
    const id = blob.id;
    const right = {
      createBlob: [{ clusterCount: 0 }],
      openBlob: [id, {}],
      closeBlob: [undefined],
      deleteBlob: [id],
      resizeBlob: [blob, 3],
      syncBlob: [blob],
      flushBlob: [blob],
      createSnapshot: [1n, {}, []],
      createSnapshots: [[{ id: 1n, xattrs: {}, inheritsAllBut: ['name'] }]],
      createClone: [1n, {}, []],
      inflateBlob: [channel, id, {}],
      decoupleBlob: [channel, id, {}],
      shallowCopyBlob: [id, device(), {}],
      setExternalDevice: [blob, device()],
      setXattr: [blob, 'a', new Uint8Array(1)],
      removeXattr: [blob, 'a'],
      getXattr: [blob, 'a'],
      nextAllocated: [blob, 0],
      nextUnallocated: [blob, 0],
      setSuper: [id],
      closeChannel: [undefined],
    };
    expect(await sweep(entriesOf(store, right))).toEqual([]);
    const read = new Uint8Array(CLUSTER);
    channel.readSync(witness, read, 0, CLUSTER / 512);
    expectSame(read, bytes(CLUSTER, 5));
    store.verify();
  });

  test('of a channel, blobs of another store included', async () => {
    const { store, blob, foreign, channel } = world();
    expect(await sweep(entriesOf(channel, channelArguments(blob)))).toEqual([]);
    for (const [name, call] of [
      ['closeBlob', async () => run(store.closeBlob(foreign))],
      ['resizeBlob', async () => run(store.resizeBlob(foreign, 1))],
      ['syncBlob', async () => run(store.syncBlob(foreign))],
      ['setXattr', async () => store.setXattr(foreign, 'a', bytes(1))],
    ] as const) {
      await expect(call(), name).rejects.toMatchObject({ code: 'EINVAL' });
    }
    store.verify();
    await run(channel.close());
    for (const entry of entriesOf(channel, channelArguments(blob))) await callWith(entry, [RIGHT, RIGHT, RIGHT, RIGHT]);
  });

  test('of `run`, `runSync`, `dumpStore`, `Blobstore.init` and `Blobstore.load`', async () => {
    const entry = (label: string, call: Callable, right: unknown[]): Entry => {
      return { label, call: async (...args) => ran(call(...args)), right, isPromise: true, letsTrapsThrough: true };
    };
    const entries = [
      entry('run', run as Callable, [undefined, () => Promise.resolve()]),
      entry('runSync', runSync as Callable, [undefined]),
      entry('dumpStore', dumpStore as Callable, [device(), () => undefined, () => '']),
      entry('Blobstore.init', Blobstore.init as Callable, [device(), { clusterBytes: CLUSTER }]),
      entry('Blobstore.load', Blobstore.load as Callable, [device(), {}]),
      entry('Blobstore.grow', Blobstore.grow as Callable, [device(), {}]),
    ];
    expect(await sweep(entries)).toEqual([]);
  });
});

describe.skipIf(!isPooled)('a channel of an attached thread', () => {
  test('refuses odd arguments, and then no thread has to wait for the channel', async () => {
    const store = await testStore();
    const blob = await store.create({ sizeBytes: 4 * CLUSTER, thin: true });
    await blob.write(bytes(4 * CLUSTER), 0);
    const attached = await attach(store.share());
    onTestFinished(() => attached.close());
    const opened = await attached.open(blob.id);
    expect(await sweep(entriesOf(attached.channel, channelArguments(opened)))).toEqual([]);
    await (await blob.snapshot()).close(); // it would wait if an operation had never left the blob
    expect(Object.values(underWayOf(attached))).toEqual([0, 0, 0]);
  });
});
