/**
 * A full disk, as the system reports it: a store in a sparse file on a small file system, and a store of a process with
 * a limit for the size of files. Synced data stays, other blobs go on, and when there is room again all operations do.
 */

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { type DeviceSpec, openStore } from 'blobyard';
import { afterAll, describe, expect, onTestFinished, test } from 'vitest';
import type { LimitedReport } from './limited-child.js';
import {
  CLUSTER_BYTES,
  expectBytes,
  firstFailure,
  MODES,
  newStore,
  patterned,
  reopened,
  syncedBlob,
} from './support.js';

const DISK_BYTES = 4 * 1024 * 1024;
const DEVICE_BYTES = 16 * 1024 * 1024;
const CLUSTERS = 4;

/** The folder of a small file system for these tests; undefined if this process may not mount one. */
const disk = mountDisk();

afterAll(() => {
  if (disk === undefined) return;
  spawnSync('umount', [disk]);
  rmSync(disk, { recursive: true, force: true });
});

function mountDisk(): string | undefined {
  const folder = mkdtempSync(path.join(tmpdir(), 'blobyard-small-disk-'));
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK_BYTES}`, 'tmpfs', folder]);
  if (mounted.status === 0) return folder;
  rmSync(folder, { recursive: true, force: true });
  console.log('Not tested: a full disk; this process may not mount a file system.');
  return undefined;
}

/** A file on the small disk, and another one of `fillerBytes` bytes, which `makeRoom` removes. */
function filesOnDisk(fillerBytes: number): { device: DeviceSpec; path: string; makeRoom: () => void } {
  const file = path.join(disk as string, 'store');
  const filler = path.join(disk as string, 'filler');
  writeFileSync(filler, Buffer.alloc(fillerBytes, 1));
  const makeRoom = () => rmSync(filler, { force: true });
  onTestFinished(() => {
    makeRoom();
    rmSync(file, { force: true });
  });
  return { device: { kind: 'file', path: file, create: true, sizeBytes: DEVICE_BYTES }, path: file, makeRoom };
}

describe.skipIf(disk === undefined).each(MODES)('a full disk, %s', (_, threads) => {
  test('first writes fail with ENOSPC, existing data can be read and written, and with room all goes on', async () => {
    const { device, path: file, makeRoom } = filesOnDisk(DISK_BYTES / 2);
    const store = await newStore(device, threads);
    const kept = await syncedBlob(store, 'kept', 1, CLUSTERS);
    const growing = await store.create({ name: 'growing', sizeBytes: DEVICE_BYTES / 2, thin: true });
    const error = await firstFailure(128, (index) =>
      growing.write(patterned(index, CLUSTER_BYTES), index * CLUSTER_BYTES),
    );
    expect(error.code, error.message).toBe('ENOSPC');
    expect(error.message).toMatch(/write at byte \d+ of .*store: ENOSPC/);

    await expectBytes(kept, 1);
    await kept.write(patterned(2, kept.sizeBytes), 0);
    await kept.flush();

    makeRoom();
    const written = patterned(77, CLUSTER_BYTES);
    await growing.write(written, DEVICE_BYTES / 2 - CLUSTER_BYTES);
    await growing.flush();
    await store.close();

    const again = await reopened({ kind: 'file', path: file }, threads);
    await expectBytes(await again.open({ name: 'kept' }), 2);
    const grown = await again.open({ name: 'growing' });
    expect(Buffer.compare(await grown.read(DEVICE_BYTES / 2 - CLUSTER_BYTES, CLUSTER_BYTES), written)).toBe(0);
    expect(Buffer.compare(await grown.read(0, CLUSTER_BYTES), patterned(0, CLUSTER_BYTES))).toBe(0);
  });

  test('a sync of metadata fails with ENOSPC, and succeeds when there is room', async () => {
    const { device, path: file, makeRoom } = filesOnDisk(0);
    const store = await newStore(device, threads);
    const kept = await syncedBlob(store, 'kept', 1, CLUSTERS);
    const filler = path.join(disk as string, 'filler');
    fillCompletely(filler);
    const error = await firstFailure(40, (index) => store.create({ name: `new ${index}` }));
    expect(error.code, error.message).toBe('ENOSPC');
    const before = (await store.blobs()).map(({ name }) => name);
    await expectBytes(kept, 1);

    makeRoom();
    await store.create({ name: 'with room' });
    await kept.xattrs.set('x', 'y');
    await store.close();
    const again = await reopened({ kind: 'file', path: file }, threads);
    expect((await again.blobs()).map(({ name }) => name).sort()).toEqual([...before, 'with room'].sort());
    await expectBytes(await again.open({ name: 'kept' }), 1);
  });

  test('a store that cannot be closed without room opens when there is room, with all synced data', async () => {
    const { device, path: file, makeRoom } = filesOnDisk(0);
    const store = await newStore(device, threads);
    await syncedBlob(store, 'kept', 1, CLUSTERS);
    const late = await store.create({ name: 'late', sizeBytes: CLUSTERS * CLUSTER_BYTES, thin: true });
    await late.sync();
    fillCompletely(path.join(disk as string, 'filler'));
    await firstFailure(CLUSTERS, (index) => late.write(patterned(index, CLUSTER_BYTES), index * CLUSTER_BYTES));
    const closing = await store.close().then(
      () => undefined,
      (error) => error,
    );
    if (closing !== undefined) expect(closing).toMatchObject({ code: 'ENOSPC' });
    // It may open without room, but then the unsynced changes find no room when it is closed again.
    const opening = await openStore({ device: { kind: 'file', path: file }, threads })
      .then((opened) => opened.close())
      .then(
        () => undefined,
        (error) => error,
      );
    if (opening !== undefined) expect(opening).toMatchObject({ code: 'ENOSPC' });

    makeRoom();
    const again = await reopened({ kind: 'file', path: file }, threads);
    await expectBytes(await again.open({ name: 'kept' }), 1);
    const found = await again.open({ name: 'late' });
    await found.write(patterned(5, found.sizeBytes), 0);
    await found.flush();
    await expectBytes(found, 5);
  });
});

/** Fills the disk up to the last page. */
function fillCompletely(file: string): void {
  for (const bytes of [DISK_BYTES, 256 * 1024, 4096]) {
    try {
      for (;;) writeFileSync(file, Buffer.alloc(bytes, 1), { flag: 'a' });
    } catch (error) {
      expect(error).toMatchObject({ code: 'ENOSPC' });
    }
  }
}

/** The limit is set by `ulimit -f` of a shell, in blocks of 512 bytes; Windows has none. */
const hasLimits = process.platform !== 'win32';

describe.skipIf(!hasLimits).each(MODES)('a process with a limit for the size of files, %s', (_, threads) => {
  test('gets ENOSPC at the limit, and loses nothing', async () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'blobyard-limited-'));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const file = path.join(folder, 'store');
    const store = await newStore({ kind: 'file', path: file, create: true, sizeBytes: DEVICE_BYTES }, threads);
    await syncedBlob(store, 'kept', 1, CLUSTERS);
    await store.close();

    const child = fileURLToPath(new URL('../../dist/devices-failing/limited-child.js', import.meta.url));
    const command = `ulimit -f ${DISK_BYTES / 512}; exec "$0" "$@"`;
    const ran = spawnSync('sh', ['-c', command, process.execPath, child, file, String(threads)], { encoding: 'utf8' });
    expect(ran.stderr).toBe('');
    const report = JSON.parse(ran.stdout) as LimitedReport;
    expect(report.code, report.message).toBe('ENOSPC');
    expect(report.written).toBeGreaterThan(0);
    expect(report.closed).toBe('well');

    const again = await reopened({ kind: 'file', path: file }, threads);
    await expectBytes(await again.open({ name: 'kept' }), 1);
    const growing = await again.open({ name: 'growing' });
    for (let index = 0; index < report.written; index++) {
      const bytes = await growing.read(index * CLUSTER_BYTES, CLUSTER_BYTES);
      expect(Buffer.compare(bytes, patterned(index, CLUSTER_BYTES))).toBe(0);
    }
  });
});
