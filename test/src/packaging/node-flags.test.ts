/**
 * Programs that are run with flags of Node that forbid something, or without the packages with native code: they work, or
 * the error says what to do.
 */

import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { loadCLibrary } from '@blobyard/io/internal/c-library';
import { describe, expect, onTestFinished, test } from 'vitest';

const HIDE = ['--import', new URL('../../dist/packaging/hide-packages.js', import.meta.url).href];
const CHILD = fileURLToPath(new URL('../../dist/packaging/flags-child.js', import.meta.url));
const ANY_FILE = ['--allow-fs-read=*', '--allow-fs-write=*', '--allow-worker'];
const isStable = process.allowedNodeEnvironmentFlags.has('--permission');
const PERMISSION = [isStable ? '--permission' : '--experimental-permission', ...ANY_FILE];

/** Runs the program with a store on a new file, in one mode. Returns 'ok', or its error. */
async function outcome(flags: readonly string[], mode: string, lock = 'true', hidden = ''): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'blobyard-flags-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const args = [...flags, CHILD, path.join(folder, 'a.img'), mode, lock];
  const env = { ...process.env, BLOBYARD_HIDDEN: hidden };
  return (await promisify(execFile)(process.execPath, args, { env })).stdout.trim();
}

describe.each(['inline', 'pooled', 'attached'])('a store (%s)', (mode) => {
  test.each([['--disallow-code-generation-from-strings'], ['--jitless'], ['--frozen-intrinsics']])(
    'works with %s',
    async (flag) => {
      expect(await outcome([flag], mode)).toBe('ok');
    },
  );

  test('works under the permission model if add-ons are allowed', async () => {
    expect(await outcome([...PERMISSION, '--allow-addons'], mode)).toBe('ok');
  });

  test('is ENOTSUP under the permission model without add-ons, since nothing could be made durable', async () => {
    expect(await outcome(PERMISSION, mode)).toMatch(/^ENOTSUP: .*permission model.*disables fdatasync.*--allow-addons/);
  });

  test('is ENOTSUP with --no-addons, and works there without a lock', async () => {
    expect(await outcome(['--no-addons'], mode)).toMatch(
      /^ENOTSUP: file locks are missing: .*--no-addons.*lock: false/,
    );
    expect(await outcome(['--no-addons'], mode, 'false')).toBe('ok');
  });

  test.runIf(loadCLibrary())('works without fs-native-extensions: koffi takes the locks', async () => {
    expect(await outcome(HIDE, mode, 'true', 'fs-native-extensions')).toBe('ok');
  });

  test('works without koffi', async () => {
    expect(await outcome(HIDE, mode, 'true', 'koffi')).toBe('ok');
  });

  test('is ENOTSUP without both, and works there without a lock', async () => {
    const both = 'fs-native-extensions,koffi';
    expect(await outcome(HIDE, mode, 'true', both)).toMatch(
      /^ENOTSUP: .*install fs-native-extensions or koffi.*lock: false/,
    );
    expect(await outcome(HIDE, mode, 'false', both)).toBe('ok');
  });
});
