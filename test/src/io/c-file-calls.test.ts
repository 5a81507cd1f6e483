/** Locks and holes by the C library: the same locks as those of fs-native-extensions, which exclude each other. */

import fs from 'node:fs';
import { cFileCalls } from '@blobyard/io/internal/c-file-calls';
import { type CLibrary, loadCLibrary } from '@blobyard/io/internal/c-library';
import { fileLocks } from '@blobyard/io/internal/file-system';
import { describe, expect, onTestFinished, test } from 'vitest';
import { newPath } from './temp-folder.js';

const library = loadCLibrary();

function openFiles(count: number): number[] {
  const file = newPath();
  fs.writeFileSync(file, new Uint8Array(65536).fill(1));
  const fds = Array.from({ length: count }, () => fs.openSync(file, 'r+'));
  onTestFinished(() => fds.forEach((fd) => void fs.closeSync(fd)));
  return fds;
}

describe.skipIf(library === undefined)('calls of the C library', () => {
  const calls = cFileCalls(library as CLibrary);
  const EXCLUSIVE = { shared: false };
  const SHARED = { shared: true };

  test('lock a range against other open files, also against locks by fs-native-extensions', () => {
    const [one, two] = openFiles(2);
    const far = 2 ** 52 + 7;
    expect(calls.tryLock(one, far, 10, EXCLUSIVE)).toBe(true);
    expect(calls.tryLock(one, far, 10, EXCLUSIVE)).toBe(true); // its own lock
    expect(calls.tryLock(two, far + 9, 1, EXCLUSIVE)).toBe(false);
    expect(calls.tryLock(two, far + 9, 1, SHARED)).toBe(false);
    expect(fileLocks.tryLock(two, { range: { start: far + 9, lengthBytes: 1 } })).toBe(false);
    expect(fileLocks.tryLock(two, { range: { start: far + 10, lengthBytes: 0 } })).toBe(true);
    expect(calls.tryLock(one, far + 2 ** 40, 1, EXCLUSIVE)).toBe(false);
    calls.unlock(one, far, 10);
    expect(fileLocks.tryLock(two)).toBe(true);
    expect(calls.tryLock(one, 0, 0, SHARED)).toBe(false);
  });

  test('share a lock among readers, until it is closed', () => {
    const [one, two, three] = openFiles(3);
    expect(calls.tryLock(one, 0, 0, SHARED)).toBe(true);
    expect(fileLocks.tryLock(two, { shared: true })).toBe(true);
    expect(calls.tryLock(three, 0, 1, EXCLUSIVE)).toBe(false);
    calls.unlock(one, 0, 0);
    fileLocks.unlock(two);
    expect(calls.tryLock(three, 0, 1, EXCLUSIVE)).toBe(true);
  });

  test('punch holes, and throw errors as Node does', () => {
    const [fd] = openFiles(1);
    calls.trimSync(fd, 4096, 8192);
    const bytes = new Uint8Array(65536);
    fs.readSync(fd, bytes, 0, bytes.length, 0);
    expect(bytes.every((byte, index) => byte === (index >= 4096 && index < 12288 ? 0 : 1))).toBe(true);
    const failure = { code: 'EBADF', errno: -9 };
    expect(() => calls.trimSync(2 ** 30, 0, 4096)).toThrow(
      expect.objectContaining({ ...failure, syscall: 'fallocate' }),
    );
    expect(() => calls.tryLock(2 ** 30, 0, 0, EXCLUSIVE)).toThrow(
      expect.objectContaining({ ...failure, syscall: 'fcntl' }),
    );
  });
});
