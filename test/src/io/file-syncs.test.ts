/** Making files durable where Node's own calls are disabled: by the C library, or ENOTSUP. */

import fs from 'node:fs';
import { loadCLibrary } from '@blobyard/io/internal/c-library';
import { cSyncs } from '@blobyard/io/internal/file-syncs';
import { expect, onTestFinished, test } from 'vitest';
import { newPath } from './temp-folder.js';

test.skipIf(loadCLibrary() === undefined)(
  'calls of the C library sync a file, and throw errors as Node does',
  async () => {
    const fd = fs.openSync(newPath(), 'w');
    onTestFinished(() => fs.closeSync(fd));
    const syncs = cSyncs();
    syncs.fdatasyncSync(fd);
    syncs.fsyncSync(fd);
    expect(await new Promise((resolve) => syncs.fdatasync(fd, resolve))).toBeNull();
    const bad = { code: 'EBADF', errno: -9 };
    expect(() => syncs.fdatasyncSync(2 ** 30)).toThrow(expect.objectContaining({ ...bad, syscall: 'fdatasync' }));
    expect(() => syncs.fsyncSync(2 ** 30)).toThrow(expect.objectContaining({ ...bad, syscall: 'fsync' }));
    expect(await new Promise((resolve) => syncs.fdatasync(2 ** 30, resolve))).toMatchObject(bad);
  },
);

test('without the C library it is ENOTSUP, and the message says which flag to give', () => {
  const load = () => {
    throw new Error('loading add-ons is disabled');
  };
  const message = expect.stringContaining('add --allow-addons');
  expect(() => cSyncs(load)).toThrow(expect.objectContaining({ code: 'ENOTSUP', message }));
});
