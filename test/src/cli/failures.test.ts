/** Error messages and exit statuses of the command where it cannot read a store. */

import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, type TestContext, test } from 'vitest';
import { newPath } from '../io/temp-folder.js';
import { blobyard, blobyardAs, type Identity, MAIN, staysSame } from './command.js';
import { closedImage, dirtyImage, makeStore } from './images.js';

const COMMANDS = ['info', 'ls', 'dump'];
const MiB = 1024 * 1024;

/** Expects that a command fails with an error message of one line. */
function expectFailure(command: string, image: string, reason: RegExp): void {
  const { status, stderr } = blobyard(command, image);
  expect(stderr).toMatch(/^blobyard: [A-Z]+: [^\n]+\n$/);
  expect(stderr).toMatch(reason);
  expect(status).toBe(1);
}

test.each(COMMANDS)('%s fails where there is no image', async (command) => {
  expectFailure(command, newPath(), /ENOENT: there is no file/);
  expectFailure(command, path.join(path.dirname(newPath()), 'no', 'where'), /ENOENT: there is no file/);
  const folder = newPath();
  mkdirSync(folder);
  expectFailure(command, folder, /EINVAL: .* is a folder/);
  expectFailure(command, '/dev/null', /EINVAL: .* is neither a file nor a block device/);
});

test.each(COMMANDS)('%s fails where the image has no store', async (command) => {
  const empty = newPath();
  writeFileSync(empty, '');
  expectFailure(command, empty, command === 'dump' ? /ENOSPC: the device has 0 bytes/ : /EILSEQ: .* only 0 bytes/);
  const noStore = newPath();
  writeFileSync(noStore, Buffer.alloc(2 * MiB, 'not a store, '));
  const isSame = staysSame(noStore, () => expectFailure(command, noStore, /EILSEQ: .*signature/));
  expect(isSame).toBe(true);
});

test.each(COMMANDS)('%s does not wait for the other end of a pipe', async (command) => {
  const pipe = newPath();
  expect(spawnSync('mkfifo', [pipe]).status).toBe(0);
  expectFailure(command, pipe, /EINVAL: .* is neither a file nor a block device/);
});

test.each(COMMANDS)('%s refuses a store that is open, and names the process', async (command) => {
  const { store, path } = await makeStore();
  expectFailure(command, path, new RegExp(`EBUSY: .* in use by process ${process.pid} since`));
  await store.close();
  expect(blobyard(command, path).status).toBe(0);
});

/** A user other than root who can run the command. Skips the test if there is none. */
function anybody(context: TestContext): Identity {
  const who = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {};
  if (blobyardAs(who, '--version').status !== 0) context.skip('nobody but root can run the command here');
  return who;
}

test.for(COMMANDS)('%s needs only the right to read, and leaves no files behind', async (command, context) => {
  const who = anybody(context);
  const { path: image } = await dirtyImage();
  chmodSync(path.dirname(image), 0o555);
  chmodSync(image, 0o444);
  const isSame = staysSame(image, () => {
    const { status, stderr } = blobyardAs(who, command, image);
    expect([status, stderr]).toEqual([0, '']);
  });
  expect(isSame).toBe(true);
  expect(existsSync(`${image}.lock`)).toBe(false);
  chmodSync(image, 0o000);
  const { status, stderr } = blobyardAs(who, command, image);
  expect(stderr).toMatch(/^blobyard: EPERM: [^\n]*permission denied[^\n]*\n$/);
  expect(status).toBe(1);
  chmodSync(path.dirname(image), 0o755);
});

test.runIf(existsSync('/dev/full'))('output that cannot be written is a failure', async () => {
  const { path } = await closedImage();
  const script = 'exec "$0" "$@" > /dev/full';
  const { status, stderr } = spawnSync('sh', ['-c', script, process.execPath, MAIN, 'ls', path], { encoding: 'utf8' });
  expect(stderr).toMatch(/^blobyard: EIO: writing to standard output failed: ENOSPC[^\n]*\n$/);
  expect(status).toBe(1);
});
