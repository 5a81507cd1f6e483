/**
 * Shares of a store's lock: the races between a thread that takes a share, the end of the opener's lock, and a new
 * opener. Locks belong to open files, so one thread can play all parties, step by step.
 */

import fs from 'node:fs';
import { acquireStoreLock, FileDevice, type StoreLock } from '@blobyard/io';
import { dropStoreShare, takeStoreShare } from '@blobyard/io/internal/store-share';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type FileLocks, fileLocks } from '../../../packages/io/dist/file-system.js';
import { failure } from './failure.js';
import { newPath } from './temp-folder.js';

interface Yard {
  readonly path: string;
  readonly opener: StoreLock;
  readonly window: number;
}

function lockedFile(): Yard {
  const path = newPath();
  fs.writeFileSync(path, new Uint8Array(8192));
  const opener = acquireStoreLock(path);
  if (opener.shareWindow === undefined)
    throw new Error('these tests need locks of byte ranges, which this system lacks');
  return { path, opener, window: opener.shareWindow };
}

/** A device on the file, as another thread opens it. */
function anotherDevice(path: string, readOnly = false): FileDevice {
  const device = FileDevice.open({ path, readOnly });
  onTestFinished(() => device.close());
  return device;
}

async function expectOrphaned(path: string): Promise<void> {
  const { message } = await failure('EBUSY', () => acquireStoreLock(path));
  expect(message).toContain('threads that were attached to it when the thread that had opened it ended');
  await failure('EBUSY', () => acquireStoreLock(path, { shared: true }));
}

/** The system's locks, with an action that `happens` just before or after one of their calls. */
function locksWith(happens: () => void, atCall: number): FileLocks {
  let calls = 0;
  return {
    tryLock(fd, options) {
      if (++calls === atCall) happens();
      return fileLocks.tryLock(fd, options);
    },
    unlock: fileLocks.unlock,
  };
}

describe('a share of a lock', () => {
  it('keeps the file locked after the lock itself has ended, until the last share is released', async () => {
    const { path, opener, window } = lockedFile();
    const devices = [anotherDevice(path), anotherDevice(path), anotherDevice(path)];
    for (const device of devices) takeStoreShare(device, window);
    expect((await failure('EBUSY', () => acquireStoreLock(path))).message).toContain('in use by this process (pid ');
    opener.release();
    await expectOrphaned(path);
    await devices[0].close();
    await expectOrphaned(path);
    dropStoreShare(devices[1].descriptor, window);
    await expectOrphaned(path);
    await devices[2].close();
    acquireStoreLock(path).release();
  });

  it('of a reader keeps writers out, and no reader, after the reader has ended', async () => {
    const { path, opener } = lockedFile();
    opener.release();
    const readers = [acquireStoreLock(path, { shared: true }), acquireStoreLock(path, { shared: true })];
    const window = readers[0].shareWindow ?? 0;
    const devices = [anotherDevice(path, true), anotherDevice(path, true)];
    for (const device of devices) takeStoreShare(device, window);
    for (const reader of readers) reader.release();
    const { message } = await failure('EBUSY', () => acquireStoreLock(path));
    expect(message).toContain('threads that were attached to it when the thread that had opened it ended');
    acquireStoreLock(path, { shared: true }).release();
    for (const device of devices) await device.close();
    acquireStoreLock(path).release();
  });

  it('of a reader is not to be had once a writer has the file', async () => {
    const { path, opener } = lockedFile();
    opener.release();
    const reader = acquireStoreLock(path, { shared: true });
    reader.release();
    const writer = acquireStoreLock(path);
    const device = anotherDevice(path, true);
    await failure('EIO', () => takeStoreShare(device, reader.shareWindow ?? 0));
    writer.release();
  });

  it('does not change the lock, which still excludes all other openers', async () => {
    const { path, opener, window } = lockedFile();
    const device = anotherDevice(path);
    takeStoreShare(device, window);
    await device.close();
    await failure('EBUSY', () => acquireStoreLock(path));
    await failure('EBUSY', () => acquireStoreLock(path, { shared: true }));
    opener.release();
    acquireStoreLock(path).release();
  });

  it('can be taken by a read-only device, and then excludes writers', async () => {
    const { path, opener, window } = lockedFile();
    const device = anotherDevice(path, true);
    takeStoreShare(device, window);
    opener.release();
    await failure('EBUSY', () => acquireStoreLock(path));
    await device.close();
    acquireStoreLock(path).release();
  });

  it('cannot be taken after the lock has ended, and nothing stays locked', async () => {
    const { path, opener, window } = lockedFile();
    opener.release();
    const { message } = await failure('EIO', () => takeStoreShare(anotherDevice(path), window));
    expect(message).toMatch(
      /^the thread that had opened the store in .* has ended, and the store's lock with it: open the store again/,
    );
    acquireStoreLock(path).release();
  });

  it('cannot be taken when a new opener or a reader has the file', async () => {
    const { path, opener, window } = lockedFile();
    opener.release();
    for (const shared of [false, true]) {
      const next = acquireStoreLock(path, { shared });
      await failure('EIO', () => takeStoreShare(anotherDevice(path), window));
      await failure('EBUSY', () => acquireStoreLock(path));
      next.release();
    }
    acquireStoreLock(path).release();
  });

  it('is released when the lock ends before the thread has checked it', async () => {
    const { path, opener, window } = lockedFile();
    const locks = locksWith(() => opener.release(), 2); // the first call takes the share
    await failure('EIO', () => takeStoreShare(anotherDevice(path), window, locks));
    acquireStoreLock(path).release();
  });

  it('excludes an opener that comes between the end of the lock and the thread’s check', async () => {
    const { path, opener, window } = lockedFile();
    const locks = locksWith(() => {
      opener.release();
      expect(() => acquireStoreLock(path)).toThrow('threads that were attached');
    }, 2);
    await failure('EIO', () => takeStoreShare(anotherDevice(path), window, locks));
    acquireStoreLock(path).release();
  });

  it('fails if an opener that comes just before it has locked its window', async () => {
    const { path, opener, window } = lockedFile();
    let next: StoreLock | undefined;
    const locks = locksWith(() => {
      opener.release();
      next = acquireStoreLock(path);
    }, 1);
    await failure('EIO', () => takeStoreShare(anotherDevice(path), window, locks));
    expect(next?.shareWindow).not.toBe(window);
    await failure('EBUSY', () => acquireStoreLock(path));
    next?.release();
    acquireStoreLock(path).release();
  });

  it('cannot be taken in an old window when a new opener has chosen another', async () => {
    const { path, opener, window } = lockedFile();
    const old = anotherDevice(path);
    takeStoreShare(old, window);
    opener.release();
    dropStoreShare(old.descriptor, window);
    const next = acquireStoreLock(path);
    const young = anotherDevice(path);
    takeStoreShare(young, next.shareWindow as number);
    await failure('EIO', () => takeStoreShare(old, window));
    next.release();
    await expectOrphaned(path);
    await young.close();
    acquireStoreLock(path).release();
  });
});
