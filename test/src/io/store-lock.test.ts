/** The lock of a store on its file, which excludes other openers. */

import { type ChildProcess, spawn } from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import { acquireStoreLock, storeLockHolder } from '@blobyard/io';
import { describe, expect, it } from 'vitest';
import { failure } from './failure.js';
import { newPath } from './temp-folder.js';

const ioUrl = pathToFileURL(createRequire(import.meta.url).resolve('@blobyard/io')).href;

function newFile(): string {
  const path = newPath();
  fs.writeFileSync(path, new Uint8Array(4096));
  return path;
}

/** Starts a process that takes the lock, prints success or the error, and then waits until it is killed. */
async function lockingChild(path: string): Promise<{ child: ChildProcess; said: string }> {
  const script = `
    import { acquireStoreLock } from ${JSON.stringify(ioUrl)};
    try {
      acquireStoreLock(process.argv[1]);
      console.log('locked');
    } catch (error) {
      console.log(error.code + ' ' + error.message);
    }
    setInterval(() => {}, 1000000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script, path], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const said = await new Promise<string>((resolve) => {
    child.stdout.once('data', (data) => resolve(String(data).trim()));
  });
  return { child, said };
}

async function kill(child: ChildProcess): Promise<void> {
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await gone;
}

describe('the lock of a store', () => {
  it('is refused to this process a second time, with a message that names it, and is free after the release', async () => {
    const path = newFile();
    const before = Date.now();
    const lock = acquireStoreLock(path);
    const error = await failure('EBUSY', () => acquireStoreLock(path));
    expect(error.message).toContain(`in use by this process (pid ${process.pid}) since `);
    const holder = storeLockHolder(path);
    expect(holder?.pid).toBe(process.pid);
    expect(Date.parse(holder?.since ?? '')).toBeGreaterThanOrEqual(before);
    lock.release();
    lock.release();
    expect(fs.existsSync(`${path}.lock`)).toBe(false);
    expect(storeLockHolder(path)).toBeUndefined();
    const next = acquireStoreLock(path);
    lock.release(); // a second release of the first lock must not release the second
    await failure('EBUSY', () => acquireStoreLock(path));
    next.release();
  });

  it('locks the file under all its names, and not the note beside it', async () => {
    const path = newFile();
    const lock = acquireStoreLock(path);
    const [hard, soft] = [`${path}.hard`, `${path}.soft`];
    fs.linkSync(path, hard);
    fs.symlinkSync(path, soft);
    expect((await failure('EBUSY', () => acquireStoreLock(hard))).message).toContain('which left no note');
    expect((await failure('EBUSY', () => acquireStoreLock(soft))).message).toContain(`pid ${process.pid}`);
    fs.unlinkSync(`${path}.lock`);
    await failure('EBUSY', () => acquireStoreLock(path));
    lock.release();
    acquireStoreLock(hard).release();
  });

  it('excludes another process, and is free as soon as its holder is killed', async () => {
    const path = newFile();
    const { child, said } = await lockingChild(path);
    expect(said).toBe('locked');
    const error = await failure('EBUSY', () => acquireStoreLock(path));
    expect(error.message).toMatch(new RegExp(`process ${child.pid} since 20\\d\\d-.*Z`));
    await kill(child);
    expect(fs.existsSync(`${path}.lock`)).toBe(true);
    expect(storeLockHolder(path)).toBeUndefined();
    const lock = acquireStoreLock(path);
    expect(storeLockHolder(path)?.pid).toBe(process.pid);
    const second = await lockingChild(path);
    expect(second.said).toContain(`EBUSY the store in ${path} is in use by process ${process.pid} since`);
    await kill(second.child);
    lock.release();
  });

  it('excludes another thread', async () => {
    const path = newFile();
    const lock = acquireStoreLock(path);
    const worker = new Worker(
      `import(${JSON.stringify(ioUrl)}).then(({ acquireStoreLock }) => {
        const { parentPort, workerData } = require('node:worker_threads');
        try {
          acquireStoreLock(workerData);
          parentPort.postMessage('locked');
        } catch (error) {
          parentPort.postMessage(error.code);
        }
      })`,
      { eval: true, workerData: path },
    );
    expect(await new Promise((resolve) => worker.once('message', resolve))).toBe('EBUSY');
    await worker.terminate();
    lock.release();
  });

  it('ignores the note of a dead holder, other text, and a note that cannot be written', async () => {
    const path = newFile();
    const stale = JSON.stringify({ pid: 1, host: 'elsewhere', since: '2001-01-01T00:00:00.000Z' });
    fs.writeFileSync(`${path}.lock`, `${stale}${' '.repeat(1000)}`);
    expect(storeLockHolder(path)).toBeUndefined();
    const lock = acquireStoreLock(path);
    expect(storeLockHolder(path)?.pid).toBe(process.pid);
    lock.release();

    fs.mkdirSync(`${path}.lock`);
    const unnamed = acquireStoreLock(path);
    expect((await failure('EBUSY', () => acquireStoreLock(path))).message).toContain('which left no note');
    unnamed.release();
    acquireStoreLock(path).release();
    expect(fs.statSync(`${path}.lock`).isDirectory()).toBe(true);
  });

  it('is shared by readers, which leave no note', async () => {
    const path = newFile();
    const readers = [acquireStoreLock(path, { shared: true }), acquireStoreLock(path, { shared: true })];
    const { child, said } = await lockingChild(path);
    expect(said).toContain('EBUSY');
    expect(said).toContain('which left no note');
    await kill(child);
    expect(fs.existsSync(`${path}.lock`)).toBe(false);
    readers[0].release();
    await failure('EBUSY', () => acquireStoreLock(path));
    readers[1].release();
    const writer = acquireStoreLock(path);
    const error = await failure('EBUSY', () => acquireStoreLock(path, { shared: true }));
    expect(error.message).toContain(`pid ${process.pid}`);
    writer.release();
    acquireStoreLock(path, { shared: true }).release();
  });

  it('fails where there is no file', async () => {
    await failure('ENOENT', () => acquireStoreLock(newPath()));
    await failure('EINVAL', () => acquireStoreLock(''));
  });
});
