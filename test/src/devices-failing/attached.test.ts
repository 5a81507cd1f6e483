/**
 * Attached threads that close, detach or end while the device fails. A call that closes reports the error and can be
 * made again; the store takes over the unsynced blobs of a thread that has ended; and nothing leaks.
 */

import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { SharedStore } from '@blobyard/core';
import { createStore, type DeviceSpec, openStore, type Store } from 'blobyard';
import { describe, expect, onTestFinished, test } from 'vitest';
import { failure } from '../io/failure.js';
import { Actor, expectCode, expectFilled, UNIT, until } from '../threads/actors.js';
import { FAILING, FailingFile } from './failing-device.js';
import { CLUSTER_BYTES, MODES, newStore, reopened } from './support.js';

const DEVICE_BYTES = 8 * 1024 * 1024;
const BLOBS = 3;
const NAMES = Array.from({ length: BLOBS }, (_, index) => `blob ${index}`);

/** Resolves when a dead thread's row of the channel table is free: then the store has freed all that the thread had. */
async function rowFree(store: Store, row: number): Promise<void> {
  const { channels } = new SharedStore(store.share().buffers, -1);
  await until(() => !channels.isTaken(row));
}

/** A store on a file that can be told to fail, and an attached thread that has written a new cluster of each blob. */
class FailingYard {
  readonly ids: bigint[] = [];
  readonly its: number[] = [];
  row = -1;

  private constructor(
    readonly store: Store,
    readonly device: FailingFile,
    readonly file: string,
    readonly actor: Actor,
  ) {}

  static async open(threads: number): Promise<FailingYard> {
    const folder = mkdtempSync(path.join(tmpdir(), 'blobyard-attached-'));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const file = path.join(folder, 'store');
    await (await newStore({ kind: 'file', path: file, create: true, sizeBytes: DEVICE_BYTES }, 0)).close();
    const device = new FailingFile(file);
    const yard = new FailingYard(await reopened(device.spec, threads), device, file, new Actor());
    onTestFinished(() => device.fail(FAILING.NOTHING));
    for (const name of NAMES) {
      const blob = await yard.store.create({ name, sizeBytes: 4 * CLUSTER_BYTES, thin: true });
      yard.ids.push(blob.id);
      await blob.close();
    }
    yard.row = (await yard.actor.do('attach', yard.store.share())).row;
    for (const [index, id] of yard.ids.entries()) {
      const { blob } = await yard.actor.do('openSync', id);
      yard.its.push(blob);
      await yard.actor.do('writeSync', blob, 0, CLUSTER_BYTES, 1 + index);
    }
    return yard;
  }

  /** Expects that another process would find all written data if this one were killed now. */
  async expectKept(): Promise<void> {
    const copy = `${this.file} copy`;
    copyFileSync(this.file, copy);
    const found = await openStore({ device: { kind: 'file', path: copy } });
    for (const [index, name] of NAMES.entries()) {
      expectFilled(await (await found.open({ name })).read(0, CLUSTER_BYTES), 1 + index);
    }
    await found.close();
    rmSync(copy);
  }

  /** Expects that the thread keeps no blob open and no space allocated. */
  async expectFree(): Promise<void> {
    await this.store.delete(this.ids[0]);
    expect((await this.store.blobs()).map(({ name }) => name)).toEqual(NAMES.slice(1));
    await this.store.close();
    const again = await reopened({ kind: 'file', path: this.file }, 0);
    again.engine.blobstore.verify();
    expect((await again.stats()).blobCount).toBe(BLOBS - 1);
    expectFilled(await (await again.open({ name: NAMES[1] })).read(0, CLUSTER_BYTES), 2);
  }

  /** Ends the thread without a detach. Resolves when the store has freed all that the thread had. */
  async end(way: 'end' | 'exit' | 'crash' | 'kill'): Promise<void> {
    if (way === 'kill') await this.actor.kill();
    else void this.actor.do(way).catch(() => undefined);
    await this.actor.ended();
    await rowFree(this.store, this.row);
  }
}

describe.each(MODES)('%s', (_, threads) => {
  test.each([
    ['writes', 'close', FAILING.WRITES],
    ['flushes', 'close', FAILING.FLUSHES],
    ['writes', 'closeSync', FAILING.WRITES],
    ['flushes', 'closeSync', FAILING.FLUSHES],
  ] as const)('closing a blob rejects when %s fail, and can be tried again: %s', async (_what, close, what) => {
    const yard = await FailingYard.open(threads);
    const [first, second] = yard.its;
    yard.device.fail(what);
    await expectCode(yard.actor.do(close, first), 'EIO');
    await expectCode(yard.actor.do(close, first), 'EIO');
    await expectCode(yard.actor.do(close, second), 'EIO');
    await expectCode(yard.actor.do('readSync', first, 0, 512), 'EBADF'); // the handle cannot be used any more
    await failure('EBUSY', () => yard.store.delete(yard.ids[0])); // but it keeps the blob open
    yard.device.fail(FAILING.NOTHING);
    for (const blob of yard.its) await yard.actor.do(close, blob);
    await yard.actor.do('close', first);
    await yard.expectKept();
    await yard.actor.do('detach');
    await yard.expectFree();
  });

  test('two handles of one blob can be closed at once, one of them twice, also after that failed', async () => {
    const yard = await FailingYard.open(threads);
    const { blob: twin } = await yard.actor.do('openSync', yard.ids[0]);
    const closing = () => yard.actor.together(['close', yard.its[0]], ['close', twin], ['close', yard.its[0]]);
    yard.device.fail(FAILING.ALL);
    expect((await closing()).map((outcome) => 'code' in outcome && outcome.code)).toEqual(['EIO', 'EIO', 'EIO']);
    yard.device.fail(FAILING.NOTHING);
    expect((await closing()).every((outcome) => 'value' in outcome)).toBe(true);
    for (const blob of yard.its.slice(1)) await yard.actor.do('close', blob);
    await yard.expectKept();
    await yard.expectFree();
  });

  test('detaching rejects, closes all blobs that it can, and can be tried again', async () => {
    const yard = await FailingYard.open(threads);
    yard.device.fail(FAILING.FLUSHES);
    await expectCode(yard.actor.do('detach'), 'EIO');
    await expectCode(yard.actor.do('open', yard.ids[0]), 'EBADF');
    await expectCode(yard.actor.do('detach'), 'EIO');
    yard.device.fail(FAILING.NOTHING);
    await yard.actor.do('close', yard.its[1]); // a blob may be closed before the thread detaches again
    await yard.actor.do('detach');
    await yard.actor.do('detach');
    await yard.expectKept();
    const { row } = await yard.actor.do('attach', yard.store.share());
    expect(row).toBe(yard.row);
    await yard.actor.do('detach', 1);
    await yard.expectFree();
  });

  test.each(['end', 'exit', 'crash', 'kill'] as const)(
    'the store\'s flush writes the blobs of a thread that has ended by "%s", or fails',
    async (way) => {
      const yard = await FailingYard.open(threads);
      yard.device.fail(FAILING.WRITES);
      await yard.end(way);
      await failure('EIO', () => yard.store.flush());
      expect((await yard.store.blobs()).map(({ name }) => name)).toEqual(NAMES); // the list works meanwhile
      yard.device.fail(FAILING.NOTHING);
      await yard.store.flush();
      await yard.expectKept();
      await yard.expectFree();
    },
  );

  test('opening and closing a blob of a thread that has ended writes it, or fails', async () => {
    const yard = await FailingYard.open(threads);
    yard.device.fail(FAILING.FLUSHES);
    await yard.end('exit');
    const blobs = await Promise.all(NAMES.map((name) => yard.store.open({ name })));
    expectFilled(await blobs[2].read(0, CLUSTER_BYTES), 3);
    for (const blob of blobs) await failure('EIO', () => blob.close());
    yard.device.fail(FAILING.NOTHING);
    for (const blob of blobs) await blob.close();
    await yard.expectKept();
    await yard.expectFree();
  });

  test('the store also takes over the blobs of a thread that ends after its close and detach have failed', async () => {
    const yard = await FailingYard.open(threads);
    yard.device.fail(FAILING.ALL);
    await expectCode(yard.actor.do('close', yard.its[0]), 'EIO');
    await expectCode(yard.actor.do('detach'), 'EIO');
    await yard.end('end');
    yard.device.fail(FAILING.NOTHING);
    await yard.store.flush();
    await yard.expectKept();
    await yard.expectFree();
  });

  test.each(['living', 'dead'] as const)(
    'closing the store rejects if the blobs of a %s thread cannot be written, and the next opening recovers',
    async (which) => {
      const yard = await FailingYard.open(threads);
      await (await yard.store.open({ name: NAMES[0] })).flush();
      yard.device.fail(FAILING.WRITES);
      if (which === 'dead') await yard.end('kill');
      await failure('EIO', () => yard.store.close());
      yard.device.fail(FAILING.NOTHING);
      if (which === 'living') {
        await yard.actor.do('close', yard.its[0]); // succeeds: the blob was closed with the store
        await yard.actor.do('detach');
      }
      const again = await reopened({ kind: 'file', path: yard.file }, threads);
      expectFilled(await (await again.open({ name: NAMES[0] })).read(0, CLUSTER_BYTES), 1);
    },
  );

  test('a successful close of the store writes the blobs of a dead thread', async () => {
    const yard = await FailingYard.open(threads);
    yard.device.fail(FAILING.FLUSHES);
    await yard.end('crash');
    yard.device.fail(FAILING.NOTHING);
    await yard.store.close();
    await yard.expectKept();
  });
});

/**
 * A store whose metadata region is full, and an attached thread with a blob that is mapped by so many runs that it
 * needs one more page. Another blob, open on the opener's thread, waits for a sync.
 */
async function crowdedStore(threads: number) {
  const clusters = 700;
  const folder = mkdtempSync(path.join(tmpdir(), 'blobyard-crowded-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const file = path.join(folder, 'store');
  const device: DeviceSpec = { kind: 'file', path: file, create: true, sizeBytes: DEVICE_BYTES };
  const store = await createStore({ device, clusterSizeBytes: UNIT, mdPageCount: 6, threads });
  onTestFinished(() => store.close().catch(() => undefined));
  const runs = await store.create({ name: 'runs', sizeBytes: clusters * UNIT, thin: true, useExtentTable: false });
  for (const name of NAMES) await (await store.create({ name })).close();
  const other = await store.create({ name: 'other', sizeBytes: UNIT, thin: true });
  await other.write(new Uint8Array(UNIT).fill(9), 0); // takes the last page
  const actor = new Actor();
  const { row } = await actor.do('attach', store.share());
  const { blob } = await actor.do('openSync', runs.id);
  await runs.close();
  for (let at = 0; at < clusters; at += 2) await actor.do('writeSync', blob, at * UNIT, UNIT, 5);
  return { store, file, actor, row, blob };
}

describe.each(MODES)('without a free metadata page, %s', (_, threads) => {
  test('an attached thread gets ENOSPC, and can close when there is a page', async () => {
    const { store, actor, blob } = await crowdedStore(threads);
    await expectCode(actor.do('close', blob), 'ENOSPC');
    await expectCode(actor.do('detach'), 'ENOSPC');
    await store.delete({ name: NAMES[0] });
    await actor.do('detach');
    await store.delete({ name: 'runs' });
    await store.close();
  });

  test.each(['exit', 'kill'] as const)(
    'the blob of a thread that has ended by "%s" makes each flush fail, but the others are written',
    async (way) => {
      const { store, file, actor, row } = await crowdedStore(threads);
      if (way === 'kill') await actor.kill();
      else void actor.do(way);
      await rowFree(store, row);
      await failure('ENOSPC', () => store.flush());
      await failure('ENOSPC', () => store.flush());
      copyFileSync(file, `${file} copy`);
      const found = await reopened({ kind: 'file', path: `${file} copy` }, 0);
      expectFilled(await (await found.open({ name: 'other' })).read(0, UNIT), 9);
      await store.delete({ name: 'runs' });
      await store.flush();
      await store.close();
    },
  );

  test('a store is closed all the same, and its close rejects with ENOSPC', async () => {
    const { store, file, actor, row } = await crowdedStore(threads);
    await actor.kill();
    await rowFree(store, row);
    await failure('ENOSPC', () => store.close());
    const again = await reopened({ kind: 'file', path: file }, threads);
    expectFilled(await (await again.open({ name: 'other' })).read(0, UNIT), 9);
  });
});
