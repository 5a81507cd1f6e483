/** The files that the threads of a store load, and when the threads are started. */

import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { SourceMap } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Worker } from 'node:worker_threads';
import { createStore, MemoryDevice, openStore } from 'blobyard';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { IoThreads } from '../../../packages/workers/dist/io-pool/io-threads.js';
import { bytes, expectCode, expectSame, MiB } from '../api/support.js';
import { until } from './actors.js';
import { OPENING, UnopenableDevice } from './unopenable-device.js';

const PACKAGES = new URL('../../../packages/', import.meta.url);
const BUILT = new URL('workers/dist/built/', PACKAGES);
const MAIN_THREAD = '0';

/** The files of the packages that each thread of a store loads, by the number of the thread. */
async function loadedBy(store: string): Promise<Map<string, string[]>> {
  const folder = await mkdtemp(path.join(tmpdir(), 'blobyard-loaded-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const log = path.join(folder, 'scripts');
  const [preload, child] = ['loaded-scripts', 'opening-child'].map(
    (name) => new URL(`../../dist/threads/${name}.js`, import.meta.url),
  );
  const env = { ...process.env, BLOBYARD_LOADED_SCRIPTS: log };
  await promisify(execFile)(process.execPath, ['--import', preload.href, fileURLToPath(child), store], { env });
  const threads = new Map<string, string[]>();
  for (const line of readFileSync(log, 'utf8').trimEnd().split('\n')) {
    const [thread, url] = line.split(' ');
    if (!url.startsWith(PACKAGES.href)) continue;
    const file = url.slice(PACKAGES.href.length);
    threads.set(thread, [...(threads.get(thread) ?? []), file]);
  }
  return threads;
}

test('each worker of a store loads one file of the packages', async () => {
  const threads = await loadedBy('memory');
  threads.delete(MAIN_THREAD);
  const [io, metadata] = ['io', 'metadata'].map((name) => [`workers/dist/built/${name}-worker.mjs`]);
  expect([...threads.values()].sort()).toEqual([io, io, metadata]);
});

describe.each(['custom', 'external'])('threads that may load modules of the user (%s)', (store) => {
  test('load the same modules as the user’s modules do, each once', async () => {
    const threads = await loadedBy(store);
    threads.delete(MAIN_THREAD);
    expect(threads.size).toBe(3);
    for (const ours of threads.values()) {
      expect(ours).toContain('core/dist/units/error.js');
      expect(ours.filter((file) => file.includes('/built/'))).toEqual([]);
      expect(new Set(ours).size).toBe(ours.length);
    }
  });
});

test('a metadata worker with the built file can copy to a custom device of a user’s module', async () => {
  const store = await createStore({ device: MemoryDevice.create({ sizeBytes: 4 * MiB }), threads: 1 });
  onTestFinished(() => store.close());
  const blob = await store.create({ sizeBytes: MiB });
  await blob.write(bytes(MiB), 0);
  const snapshot = await blob.snapshot();
  const target = new UnopenableDevice(MiB);
  expect(await snapshot.copyTo(target.spec)).toBe(MiB);
  expectSame(target.memory.bytes().subarray(0, MiB), bytes(MiB));
  target.opening = OPENING.FAILS; // the error is of another BlobstoreError class than the worker's
  await expectCode(snapshot.copyTo(target.spec), 'ENXIO', /the test wants the device to be gone/);
});

test('the main thread loads no built file, and no module twice', async () => {
  const files = (await loadedBy('memory')).get(MAIN_THREAD) ?? [];
  expect(files).toContain('core/dist/units/error.js');
  expect(files.filter((file) => file.includes('/built/'))).toEqual([]);
  expect(new Set(files).size).toBe(files.length);
});

test('a program whose store has no threads loads no file of pool mode', async () => {
  const threads = await loadedBy('inline');
  expect([...threads.keys()]).toEqual([MAIN_THREAD]);
  const files = threads.get(MAIN_THREAD) ?? [];
  expect(files.filter((file) => /^workers\/dist\/(io-pool|metadata-thread)\//.test(file))).toEqual([]);
});

test.each([
  ['io-worker', 'async function begin(', 'workers/src/io-pool/serve-io.ts'],
  ['metadata-worker', 'function serveMetadata(', 'workers/src/metadata-thread/serve-metadata.ts'],
  ['metadata-worker', 'super(`blobyard bug: ', 'core/src/units/error.ts'],
  ['metadata-worker', 'file locks are missing: ', 'io/src/file-system.ts'],
])('the source map of %s maps "%s" to %s', (name, snippet, source) => {
  const file = new URL(`${name}.mjs`, BUILT);
  const lines = readFileSync(file, 'utf8').split('\n');
  const line = lines.findIndex((each) => each.includes(snippet));
  const map = new SourceMap(JSON.parse(readFileSync(`${fileURLToPath(file)}.map`, 'utf8')));
  const found = map.findEntry(line, lines[line].indexOf(snippet));
  if (!('originalSource' in found)) throw new Error(`nothing is at line ${line} of ${name}`);
  const original = new URL(found.originalSource, file);
  expect(original.href).toBe(new URL(source, PACKAGES).href);
  expect(readFileSync(original, 'utf8').split('\n')[found.originalLine]).toContain(snippet);
});

test('the built files come with the licenses of the packages in them', () => {
  const licenses = readFileSync(new URL('third-party.txt', BUILT), 'utf8');
  const sources = ['io-worker', 'metadata-worker'].flatMap((name) => {
    return JSON.parse(readFileSync(new URL(`${name}.mjs.map`, BUILT), 'utf8')).sources as string[];
  });
  const packages = sources.flatMap((source) => source.match(/.*node_modules\/((?:@[^/]+\/)?[^/]+)/)?.[1] ?? []);
  expect(packages).toContain('comlink');
  for (const name of packages) expect(licenses).toMatch(new RegExp(`^${name} \\d`, 'm'));
  for (const source of sources) expect(existsSync(new URL(source, BUILT))).toBe(true);
});

test('a thread that failed to start before its store was opened is not used', async () => {
  const [ended, emitted] = [new Set<Worker>(), Worker.prototype.emit];
  const emit = vi.spyOn(Worker.prototype, 'emit').mockImplementation(function (this: Worker, event, ...given) {
    if (event === 'online') void this.terminate();
    if (event === 'exit') ended.add(this);
    return emitted.call(this, event, ...given);
  });
  const threads = new IoThreads(1, new URL('io-worker.mjs', BUILT));
  await until(() => ended.size === 1);
  emit.mockRestore();
  const thread = threads.take();
  expect(thread.isAlive).toBe(true);
  await thread.end(); // its code is loaded
  await Promise.all([thread.terminate(), threads.end()]);
  expect(thread.isAlive).toBe(false);
});

test('all threads are started before the store is open, and have ended when the opening rejects', async () => {
  const emit = vi.spyOn(Worker.prototype, 'emit');
  onTestFinished(() => emit.mockRestore());
  const device = MemoryDevice.create({ sizeBytes: 4 * MiB }); // there is no store on it
  await expectCode(openStore({ device, threads: 3 }), 'EILSEQ');
  const threads = new Set(emit.mock.contexts);
  const ended = emit.mock.contexts.filter((_, index) => emit.mock.calls[index][0] === 'exit');
  expect(threads.size).toBe(1 + 3);
  expect(new Set(ended)).toEqual(threads);
});
