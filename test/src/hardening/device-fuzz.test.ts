/**
 * All exports of the packages except stores, devices most of all, are called with odd arguments. Errors of the caller's
 * own getters may reach the caller unwrapped here.
 */

import { rm } from 'node:fs/promises';
import * as blobyard from 'blobyard';
import { FileDevice, MemoryDevice, SparseMemoryDevice } from 'blobyard';
import { asyncDevice, type BlockDevice, FaultyDevice } from 'blobyard/devices';
import { describe, expect, onTestFinished, test } from 'vitest';
import { bytes, isPooled, KiB, temporaryFolder } from '../api/support.js';
import { callWith, type Entry } from './calls.js';
import { ODD_NAMES, RIGHT } from './odd-values.js';
import { gettersOf, methodsOf } from './surface.js';

const SIZE = 64 * KiB;

/** Exports that do not check arguments, as their comments say, or that are a test suite. */
const TRUSTING = [
  'copyBytes',
  'bulkMemory',
  'mediumSizeBytes',
  'probeSizeBytes',
  'deviceSuite',
  'BlobstoreError',
  'DamagedStoreError',
];
/** Exports that `api-fuzz.test.ts` and `engine-fuzz.test.ts` call. */
const ELSEWHERE = ['createStore', 'openStore', 'run', 'runSync', 'dumpStore'];
const PROMISED = ['openDevice', 'attach'];

type Callable = (...args: unknown[]) => unknown;
type Constructor = new (...args: unknown[]) => unknown;

/**
 * Calls an entry with each odd value at each position, and valid arguments else. Returns the calls that broke a rule.
 */
async function sweep(entry: Entry, places = Math.max(1, entry.right.length)): Promise<unknown[]> {
  const failures: unknown[] = [];
  for (let place = 0; place < places; place++) {
    for (const odd of ODD_NAMES) {
      const names = Array.from({ length: places }, (_, at) => (at === place ? odd : RIGHT));
      await callWith(entry, names).catch((failure: unknown) => failures.push((failure as Error).message.slice(0, 300)));
    }
  }
  return failures;
}

function entryOf(label: string, call: Callable, right: readonly unknown[], isPromise = false): Entry {
  return { label, call, right, isPromise, letsTrapsThrough: true };
}

/** Closes the result of a call if it is an open object. */
function closed(made: unknown): unknown {
  if (made instanceof Promise) return made.then(closed);
  const { close, detach } = (made ?? {}) as { close?: unknown; detach?: unknown };
  if (typeof close === 'function') return close.call(made) as unknown;
  return typeof detach === 'function' ? (detach.call(made) as unknown) : undefined;
}

function exportedEntries(): Entry[] {
  const right: Record<string, unknown[]> = {
    MemoryDevice: [{ memory: MemoryDevice.create({ sizeBytes: SIZE, arenaBytes: 0 }).memory }],
    SparseMemoryDevice: [{ sizeBytes: SIZE }],
    FaultyDevice: [new SparseMemoryDevice({ sizeBytes: SIZE }), { asynchronous: true }],
    asyncDevice: [new SparseMemoryDevice({ sizeBytes: SIZE }), { when: 'microtask', random: () => 0.5 }],
    openDevice: [{ kind: 'sparse-memory', sizeBytes: SIZE }],
    sharedSpec: [{ kind: 'memory', sizeBytes: SIZE }, MemoryDevice.create({ sizeBytes: SIZE, arenaBytes: 0 })],
    allocateAligned: [4096],
    isAligned: [new Uint8Array(512), 0],
    createSharedMemory: [4096],
    acquireStoreLock: ['/no/such/file'],
    storeLockHolder: ['/no/such/file'],
  };
  const entries: Entry[] = [];
  for (const [name, value] of Object.entries(blobyard)) {
    if (typeof value !== 'function' || TRUSTING.includes(name) || ELSEWHERE.includes(name)) continue;
    const isClass = String(value).startsWith('class');
    if (isClass) {
      const Class = value as unknown as Constructor;
      if (name in right) entries.push(entryOf(`new ${name}`, (...args) => closed(new Class(...args)), right[name]));
      for (const method of methodsOf(value).filter((each) => each in value && typeof each === 'string')) {
        if (Object.hasOwn(Function.prototype, method)) continue;
        const call = (value as unknown as Record<string | symbol, Callable>)[method].bind(value);
        const wanted = { fromBytes: [bytes(4096), { blockLengthBytes: 512 }] }[String(method)] ?? [{ sizeBytes: SIZE }];
        entries.push(entryOf(`${name}.${String(method)}`, (...args) => closed(call(...args)), wanted));
      }
    } else {
      const call = value as unknown as Callable;
      entries.push(entryOf(name, (...args) => closed(call(...args)), right[name] ?? [], PROMISED.includes(name)));
    }
  }
  return entries;
}

const RIGHT_OF_DEVICES: Record<string, unknown[]> = {
  read: [new Uint8Array(4096), 0, 0, 1],
  write: [new Uint8Array(4096), 0, 0, 1],
  readv: [[new Uint8Array(4096)], 0, 1],
  writev: [[new Uint8Array(4096)], 0, 1],
  writeZeroes: [0, 1],
  unmap: [0, 1],
  copy: [0, 2, 1],
  isZeroes: [0, 1],
  translateLba: [0],
  resize: [16],
  allocateBuffer: [100],
  releaseBuffer: [new Uint8Array(100)],
  bufferAt: [4096, 100],
  failAt: [1000, { kind: 'read' }],
  tearAt: [1000, 1, { kind: 'write' }],
  cutPowerAt: [1000, { kind: 'write' }],
  cutPower: ['fail'],
  gate: ['read', 1000],
};

/** The methods of a device and of one of its channels, except those that end it. */
function deviceEntries(label: string, device: BlockDevice): Entry[] {
  const channel = device.openChannel();
  const ofDevice = methodsOf(device).filter((name) => !['close', 'cutPower', 'cutPowerAt'].includes(String(name)));
  const entry = (object: object, name: string | symbol, isPromise: boolean) => {
    const method = (object as Record<string | symbol, Callable>)[name].bind(object);
    return entryOf(`${label}: ${String(name)}`, method, RIGHT_OF_DEVICES[String(name)] ?? [], isPromise);
  };
  return [
    ...ofDevice.map((name) => entry(device, name, false)),
    ...methodsOf(channel)
      .filter((name) => name !== 'close')
      .map((name) => entry(channel, name, !device.synchronous)),
  ];
}

describe.skipIf(isPooled)('odd arguments are refused with a code', () => {
  test('by all exports of the packages', async () => {
    const failures: unknown[] = [];
    for (const entry of exportedEntries()) failures.push(...(await sweep(entry)));
    expect(failures).toEqual([]);
  });

  const memory = () => MemoryDevice.create({ sizeBytes: SIZE, arenaBytes: 8192 });
  const devices: [string, () => BlockDevice | Promise<BlockDevice>][] = [
    ['MemoryDevice', memory],
    ['SparseMemoryDevice', () => new SparseMemoryDevice({ sizeBytes: SIZE })],
    ['FileDevice', () => file('sync')],
    ['FileDevice, async', () => file('async')],
    ['asyncDevice', () => asyncDevice(memory())],
    ['FaultyDevice', () => new FaultyDevice(memory())],
    ['FaultyDevice, asynchronous', () => new FaultyDevice(memory(), { asynchronous: true })],
  ];

  async function file(mode: 'sync' | 'async'): Promise<BlockDevice> {
    const path = `${await temporaryFolder()}/device`;
    onTestFinished(() => rm(path, { force: true }));
    return FileDevice.open({ path, create: true, sizeBytes: SIZE, mode });
  }

  test.each(devices)('by %s and its channels', async (label, make) => {
    const device = await make();
    onTestFinished(async () => device.close());
    const failures: unknown[] = [];
    for (const entry of deviceEntries(label, device)) failures.push(...(await sweep(entry)));
    expect(failures).toEqual([]);
    for (const getter of gettersOf(device)) expect(() => (device as never)[getter]).not.toThrow();
  });
});
