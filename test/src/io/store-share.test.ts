/**
 * Shares of a store's lock: every order in which a thread that takes one can meet the end of the opener's lock, and another opener.
 * Locks belong to open files, so that one thread can play all of them, step by step.
 */

import fs from 'node:fs';
import { acquireStoreLock, FileDevice, type StoreLock } from '@blobyard/io';
import { dropStoreShare, takeStoreShare } from '@blobyard/io/store-share';
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
  if (opener.shareWindow === undefined) throw new Error('these tests need locks of bytes');
  return { path, opener, window: opener.shareWindow };
}

/** A device as another thread would have it. */
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

/** The system's locks, with something that happens between two of their calls. */
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
  it('keeps the file locked when the lock itself has gone, until the last share has', async () => {
    const { path, opener, window } = lockedFile();
    const devices = [anotherDevice(path), anotherDevice(path), anotherDevice(path)];
    for (const device of devices) takeStoreShare(device, window);
    expect((await failure('EBUSY', () => acquireStoreLock(path))).message).toContain('this very process');
    opener.release();
    await expectOrphaned(path);
    await devices[0].close();
    await expectOrphaned(path);
    dropStoreShare(devices[1].descriptor, window);
    await expectOrphaned(path);
    await devices[2].close();
    acquireStoreLock(path).release();
  });

  it('does not disturb the lock, which still excludes all others', async () => {
    const { path, opener, window } = lockedFile();
    const device = anotherDevice(path);
    takeStoreShare(device, window);
    await device.close();
    await failure('EBUSY', () => acquireStoreLock(path));
    await failure('EBUSY', () => acquireStoreLock(path, { shared: true }));
    opener.release();
    acquireStoreLock(path).release();
  });

  it('can be had by a device that only reads, and then keeps out who writes', async () => {
    const { path, opener, window } = lockedFile();
    const device = anotherDevice(path, true);
    takeStoreShare(device, window);
    opener.release();
    await failure('EBUSY', () => acquireStoreLock(path));
    await device.close();
    acquireStoreLock(path).release();
  });

  it('is not to be had after the lock has gone, and nothing stays locked', async () => {
    const { path, opener, window } = lockedFile();
    opener.release();
    const { message } = await failure('EIO', () => takeStoreShare(anotherDevice(path), window));
    expect(message).toContain('has lost the thread that had opened it');
    acquireStoreLock(path).release();
  });

  it('is not to be had when somebody else has the file by now, or reads it', async () => {
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

  it('is given back when the lock goes before the thread has seen it', async () => {
    const { path, opener, window } = lockedFile();
    const locks = locksWith(() => opener.release(), 2); // the first call takes the share
    await failure('EIO', () => takeStoreShare(anotherDevice(path), window, locks));
    acquireStoreLock(path).release();
  });

  it('keeps out an opener who comes between the end of the lock and the look at it', async () => {
    const { path, opener, window } = lockedFile();
    const locks = locksWith(() => {
      opener.release();
      expect(() => acquireStoreLock(path)).toThrow('threads that were attached');
    }, 2);
    await failure('EIO', () => takeStoreShare(anotherDevice(path), window, locks));
    acquireStoreLock(path).release();
  });

  it('finds its window taken by an opener who comes just before it', async () => {
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

  it('makes way for a share of the next opener, whose window is another', async () => {
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
