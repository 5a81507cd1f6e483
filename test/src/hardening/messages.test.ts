/** Error messages contain what the caller gave, and nothing about this machine, other blobs, or secret values. */

import { mkdir, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { attach, BlobstoreError, type DeviceSpec, FileDevice } from 'blobyard';
import { acquireStoreLock, FaultyDevice, openDevice, storeLockHolder } from 'blobyard/devices';
import { describe, expect, onTestFinished, test } from 'vitest';
import {
  bytes,
  CLUSTER,
  createStore,
  isPooled,
  MiB,
  memory,
  openStore,
  temporaryFolder,
  testStore,
  usable,
} from '../api/support.js';
import { createPooled } from '../threads/support.js';

const SECRET = 'hunter2-secret';

/** All texts of an error and of its causes. */
function textOf(error: unknown): string {
  const texts: string[] = [];
  for (let at = error; at !== undefined && at !== null; at = (at as { cause?: unknown }).cause) {
    texts.push(at instanceof Error ? at.message : String(at));
    for (const name of ['path', 'dest'])
      if (name in (at as object)) texts.push(String((at as Record<string, unknown>)[name]));
  }
  return texts.join('\n');
}

/** Returns the error of work that must fail. */
async function errorOf(work: () => unknown): Promise<BlobstoreError> {
  try {
    await work();
  } catch (error) {
    expect(error).toBeInstanceOf(BlobstoreError);
    return error as BlobstoreError;
  }
  return expect.fail('it did not fail');
}

/** Expects a failure whose text contains no paths except the given ones, and no secret. */
async function expectDiscreet(given: readonly string[], work: () => unknown, code?: string): Promise<void> {
  const error = await errorOf(work);
  if (code !== undefined) expect(error.code).toBe(code);
  let text = textOf(error).replaceAll('Node.js', 'Node');
  for (const each of [...given].sort((one, other) => other.length - one.length)) text = text.replaceAll(each, 'GIVEN');
  expect(text, error.stack).not.toMatch(/file:\/\/|node_modules|\.[cm]?[jt]s\b|(^|[\s'"`(:])\/[\w.-]+/);
  expect(text).not.toContain(process.cwd());
  expect(text).not.toContain(SECRET);
}

/** A folder, and the relative path of a file in it, as a user may give it. */
async function relativeFile(): Promise<{ folder: string; file: string }> {
  const folder = await temporaryFolder();
  return { folder, file: path.relative(process.cwd(), path.join(folder, 'yard.img')) };
}

const inMode = (device: DeviceSpec, options: object = {}) =>
  createStore({ device, clusterSizeBytes: CLUSTER, ...options });

describe('messages', () => {
  test('about files contain the path as it was given', async () => {
    const { folder, file } = await relativeFile();
    const make = { kind: 'file', path: file, create: true, sizeBytes: MiB } as const;
    await expectDiscreet([file], () => openStore({ device: { kind: 'file', path: file } }), 'ENOENT');
    await expectDiscreet([file], () => openDevice({ kind: 'file', path: file }), 'ENOENT');
    await expectDiscreet([file], () => FileDevice.open({ path: `${file}/below/it`, create: true, sizeBytes: MiB }));
    const store = await inMode(make);
    await expectDiscreet([file], () => inMode(make), 'EEXIST');
    await expectDiscreet([file], () => openStore({ device: { kind: 'file', path: file } }), 'EBUSY');
    await store.close();
    const link = `${file}.link`;
    await symlink(path.join(folder, 'yard.img'), path.join(folder, 'yard.img.link'));
    const lock = acquireStoreLock(link);
    await expectDiscreet([link], () => acquireStoreLock(link), 'EBUSY');
    expect((await errorOf(() => acquireStoreLock(link))).message).toContain(`pid ${process.pid}`);
    lock.release();
    await expectDiscreet([`${file}.no`], () => storeLockHolder(`${file}.no`), 'ENOENT');
    const directory = path.relative(process.cwd(), folder);
    await expectDiscreet([directory], () => openDevice({ kind: 'file', path: directory }), 'EINVAL');
    await mkdir(path.join(folder, 'yard.img.dir'));
    await expectDiscreet([`${file}.dir`], () => openStore({ device: { kind: 'file', path: `${file}.dir` } }));
  });

  test('about devices without a store, or that fail, contain neither their data nor an absolute path', async () => {
    const { folder, file } = await relativeFile();
    await writeFile(path.join(folder, 'yard.img'), Buffer.from(SECRET.repeat(100_000)));
    await expectDiscreet([file], () => openStore({ device: { kind: 'file', path: file } }), 'EILSEQ');
    const made = `${file}.made`;
    const store = await inMode({ kind: 'file', path: made, create: true, sizeBytes: MiB });
    onTestFinished(() => store.close().catch(() => undefined));
    const blob = await store.create({ sizeBytes: 4 * CLUSTER });
    await writeFile(path.join(folder, 'yard.img.made'), ''); // truncates the file under the open store
    await expectDiscreet([made], () => blob.read(0, 4 * CLUSTER), 'EIO');
    await expectDiscreet([made], () => blob.readSync(0, 4 * CLUSTER), 'EIO');
  });

  test('about modules of custom devices contain no path but that of the module, and no options', async () => {
    const folder = await temporaryFolder();
    const missing = path.join(folder, 'missing.mjs');
    const broken = path.join(folder, 'broken.mjs');
    await writeFile(broken, "import { nothing } from './missing.mjs'; export const openDevice = nothing;");
    const empty = path.join(folder, 'empty.mjs');
    await writeFile(empty, '');
    for (const module of [missing, broken, empty]) {
      const device = { kind: 'custom', module, options: { password: SECRET } } as const;
      await expectDiscreet([module], () => openDevice(device));
      await expectDiscreet([module], () => inMode(device));
    }
  });

  test('about refused values do not contain the contents of these values', async () => {
    const store = await testStore();
    const blob = await store.create({ sizeBytes: CLUSTER, xattrs: { token: SECRET } });
    await blob.write(Buffer.from(SECRET), 0);
    const half = `${SECRET}\ud800`;
    const wrong = [half, [SECRET], { token: SECRET }, Buffer.alloc(8192, SECRET), SECRET.repeat(1000), ''];
    for (const value of wrong) {
      await expectDiscreet([], () => blob.xattrs.set('token', value as never), 'EINVAL');
      await expectDiscreet([], () => store.create({ xattrs: { token: value as never } }), 'EINVAL');
      await expectDiscreet([], () => blob.snapshot({ xattrs: { token: value as never } }), 'EINVAL');
    }
    const text = new TextEncoder().encode(SECRET.padEnd(16));
    for (const data of [[...text], { 0: text }, new Map([[SECRET, text]]), new Set([SECRET])]) {
      await expectDiscreet([], () => blob.write(data as never, 0), 'EINVAL');
      await expectDiscreet([], () => blob.writev([data] as never, 0), 'EINVAL');
    }
    await blob.setReadOnly();
    await expectDiscreet([], () => blob.xattrs.set('token', `${SECRET}!`), 'EPERM');
    await expectDiscreet([], () => blob.write(Buffer.from(SECRET), 0), 'EPERM');
  });

  test('about failing requests contain neither data nor the environment', async () => {
    process.env.BLOBYARD_TEST_SECRET = SECRET;
    const device = new FaultyDevice(memory());
    const store = await testStore(device);
    const blob = await store.create({ sizeBytes: CLUSTER, xattrs: { token: SECRET } });
    await blob.write(Buffer.from(SECRET), 0);
    device.failAt(1, { times: 3 });
    await expectDiscreet([], () => blob.read(0, 100), 'EIO');
    device.clearFaults();
    device.failAt(1, { kind: 'write', times: 3 });
    await expectDiscreet([], () => blob.xattrs.set('other', SECRET), 'EIO');
    device.clearFaults();
    const clone = { openExternalSnapshot: () => Promise.reject(new Error('not there')) };
    await expectDiscreet([], () => openStore({ device: usable(memory()), ...clone }), 'EILSEQ');
    await expectDiscreet([], () => attach({ blobyard: 1 } as never), 'EINVAL');
    delete process.env.BLOBYARD_TEST_SECRET;
  });

  test.skipIf(!isPooled)('about a dead metadata thread contain no path and no secret', async () => {
    const { store, parts } = await createPooled({ device: memory(), clusterSizeBytes: CLUSTER });
    const blob = await store.create({ sizeBytes: CLUSTER, thin: true });
    await blob.write(bytes(100), 0);
    parts.kill('terminate');
    await expectDiscreet([], () => blob.info(), 'EIO');
    await expectDiscreet([], () => store.stats(), 'EIO');
    await expectDiscreet([], () => store.close(), 'EIO');
  });
});
