/**
 * Closing a store releases its file, whatever its attached threads are doing and whatever fails. After that these
 * threads can never write to the file again.
 */

import { readdirSync, readlinkSync, renameSync } from 'node:fs';
import { BlobstoreError, SharedStore } from '@blobyard/core';
import { attach, createStore, openStore, type Store } from '@blobyard/workers';
import { describe, expect, test } from 'vitest';
import {
  Actor,
  CLUSTER,
  codesOf,
  expectCode,
  expectFilled,
  manyTurns,
  ThreadYard,
  UNIT,
  until,
  watched,
} from './actors.js';
import { Gate } from './gate.js';
import { temporaryFile } from './support.js';

const SIZE = 4096 * 1024;

async function fileYard(threads: number) {
  const path = await temporaryFile();
  const device = { kind: 'file', path, create: true, sizeBytes: SIZE } as const;
  const store = await createStore({ device, threads, clusterSizeBytes: CLUSTER });
  const blob = await store.create({ name: 'old', sizeBytes: 4 * CLUSTER, thin: true });
  await blob.write(new Uint8Array(CLUSTER).fill(1), 0);
  const actor = new Actor();
  await actor.do('attach', store.share());
  const { blob: its } = await actor.do('openSync', blob.id);
  return { path, store, blob, actor, its };
}

async function expectHarmless(path: string, actor: Actor, its: number): Promise<void> {
  const store = await openStore({ device: { kind: 'file', path } });
  await store.delete({ name: 'old' });
  const next = await store.create({ sizeBytes: 4 * CLUSTER });
  await next.write(new Uint8Array(4 * CLUSTER).fill(2), 0);
  const late = await actor.together(['writeSync', its, 0, UNIT, 9], ['write', its, UNIT, UNIT, 9]);
  expect(codesOf(late)).toEqual(['EBADF', 'EBADF']);
  await actor.do('detach');
  expectFilled(await next.read(0, 4 * CLUSTER), 2);
  await store.close();
}

/** Makes closing a blob fail in the engine of an inline store. */
function failAtClosing(store: Store): void {
  Object.defineProperty(store.engine.blobstore, 'dropBlob', {
    value: () => {
      throw new BlobstoreError('EIO', 'the test wants no blob to be closed');
    },
  });
}

function descriptorsOf(path: string): number {
  return readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith(path);
    } catch {
      return false; // the descriptor of the folder /proc/self/fd itself
    }
  }).length;
}

describe.each([
  ['inline', 0],
  ['in pool mode', 1],
])('a store that is closed %s', (_, threads) => {
  test('can be opened again at once, although an attached thread is blocked', async () => {
    const { path, store, blob, actor, its } = await fileYard(threads);
    const gate = new Gate();
    gate.shut();
    const standing = actor.do('standStill', gate.buffer);
    await gate.held();
    await blob.close();
    await store.close();
    const again = await openStore({ device: { kind: 'file', path } });
    await again.close();
    gate.open();
    await standing;
    await expectHarmless(path, actor, its);
  });

  test('and destroyed is released all the same', async () => {
    const { path, store, blob, actor, its } = await fileYard(threads);
    await blob.close();
    await store.destroy();
    const next = await createStore({ device: { kind: 'file', path }, clusterSizeBytes: CLUSTER });
    await expectCode(actor.do('writeSync', its, 0, UNIT, 9), 'EBADF');
    await next.close();
  });
});

/** A close of a store that fails while an attached thread waits at a gate in the middle of a first write. */
async function closingInAWrite() {
  const { path, store, blob, actor, its } = await fileYard(0);
  await blob.close();
  failAtClosing(store);
  const gate = new Gate();
  await actor.do('stopAt', 'cluster taken', gate.buffer);
  gate.shut();
  const writing = watched(actor.do('writeSync', its, 2 * CLUSTER, UNIT, 9));
  await gate.held();
  const { blobstore } = store.engine;
  const closing = watched(store.close());
  await until(() => blobstore.isClosed);
  return { path, actor, its, gate, writing, closing };
}

describe('an inline store whose close fails while a thread is attached', () => {
  test('releases its lock and its descriptors, and refuses all calls of the thread', async () => {
    const { path, store, blob, actor, its } = await fileYard(0);
    await blob.close();
    failAtClosing(store);
    await expectCode(store.close(), 'EIO');
    await expectCode(store.close(), 'EIO');
    expect(descriptorsOf(path)).toBe(1); // that of the attached thread, until it detaches
    await expectHarmless(path, actor, its);
    expect(descriptorsOf(path)).toBe(0);
  });

  test('waits for a write that is under way; requests that wait for the store fail with EBADF', async () => {
    const { path, actor, its, gate, writing, closing } = await closingInAWrite();
    await manyTurns();
    expect([writing.isSettled, closing.isSettled]).toEqual([false, false]);
    await expectCode(openStore({ device: { kind: 'file', path } }), 'EBUSY');
    gate.open(); // the thread writes its cluster, and asks for the insertion
    await expectCode(writing.promise, 'EBADF');
    await expectCode(closing.promise, 'EIO');
    await expectHarmless(path, actor, its);
  });

  test('does the same in memory, where there is no lock', async () => {
    const yard = await ThreadYard.open();
    const blob = await yard.store.create({ sizeBytes: 4 * CLUSTER });
    const write = new Gate();
    const { actor, blob: its } = await yard.actorIn(blob.id, { write });
    failAtClosing(yard.store);
    write.shut();
    const writing = actor.do('writeSync', its, 0, UNIT, 2);
    await write.held();
    const closing = watched(yard.store.close());
    await manyTurns();
    expect(closing.isSettled).toBe(false);
    write.open();
    await writing;
    await expectCode(closing.promise, 'EIO');
    await expectCode(actor.do('writeSync', its, 0, UNIT, 3), 'EBADF');
    await expectCode(actor.do('write', its, 0, UNIT, 3), 'EBADF');
  });

  test('does not wait for a thread that dies in the middle of a write', async () => {
    const { path, actor, closing } = await closingInAWrite();
    await actor.kill();
    await expectCode(closing.promise, 'EIO');
    await (await openStore({ device: { kind: 'file', path } })).close();
  });
});

test('attaching while the store closes fails with EBADF, and leaves nothing open', async () => {
  const yard = await ThreadYard.open();
  const opening = new Gate();
  const actor = new Actor();
  opening.shut();
  const attaching = watched(actor.do('attach', yard.handleWith({ opening })));
  await opening.held();
  await yard.store.close();
  opening.open();
  await expectCode(attaching.promise, 'EBADF');
  for (let row = 0; row < 10; row++) expect(yard.shared.channels.isTaken(row)).toBe(false);
});

test('a thread that sees the end of the store before blobs are frozen releases its share and enters no blob', async () => {
  const { store, actor, its } = await fileYard(0);
  const handle = store.share();
  const shared = new SharedStore(handle.buffers, -1);
  const hasShare = () =>
    Array.from({ length: 10 }, (_, row) => row).some((row) => shared.channels.share(row) !== undefined);
  expect(hasShare()).toBe(true);
  shared.markClosed(); // the first step of a close with an error
  await until(() => !hasShare());
  await expectCode(actor.do('writeSync', its, 0, UNIT, 9), 'EBADF');
  await expectCode(actor.do('write', its, 0, UNIT, 9), 'EBADF');
  await actor.do('detach');
});

test('attaching to a closed store fails with a message that says so, even if its file is gone', async () => {
  const { path, store, blob } = await fileYard(0);
  const handle = store.share();
  await blob.close();
  await store.close();
  renameSync(path, `${path}.moved`);
  await expectCode(attach(handle), 'EBADF');
});
