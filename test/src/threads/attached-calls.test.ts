/** Calls of attached threads that the metadata thread executes, in both forms, and what happens when a thread ends. */

import type { BlobInfo, StoreStats } from '@blobyard/workers';
import { MemoryDevice } from 'blobyard';
import { describe, expect, test } from 'vitest';
import type { NewBlob } from '../../../packages/workers/dist/checks/blob-options.js';
import type { GivenXattrs } from '../../../packages/workers/dist/checks/xattr-values.js';
import type { OpenedBlob } from '../../../packages/workers/dist/ports/metadata-port.js';
import type { FollowOutcome } from './actor.js';
import { Actor, CLUSTER, codesOf, expectCode, manyTurns, ThreadYard, until, watched } from './actors.js';
import { Gate } from './gate.js';
import { createPooled } from './support.js';

const NOT_FOLLOWED = { call: 0, hasProgress: false };
const FORMS = ['call', 'callSync'] as const;

async function yardWithActor() {
  const yard = await ThreadYard.open();
  return { yard, actor: await yard.actor() };
}

/** Returns a function that makes calls in one form. */
function callsOf(actor: Actor, form: (typeof FORMS)[number]) {
  return <Result = undefined>(name: string, ...given: unknown[]) =>
    actor.do(form, name, ...given) as unknown as Promise<Result>;
}

/** The argument that `Blob.snapshot` gives to the metadata thread. */
function named(name?: string): GivenXattrs {
  return { name, values: {} };
}

/** The argument that `Store.create` gives to the metadata thread. */
function newBlob(clusterCount: number, xattrs = named()): NewBlob {
  const clearMethod = 'default';
  return { clusterCount, thin: true, clearMethod, useExtentTable: true, externalSnapshotId: undefined, xattrs };
}

/** Calls all methods that an attached thread can call. */
async function expectAllMethods(actor: Actor, form: (typeof FORMS)[number]): Promise<void> {
  const call = callsOf(actor, form);
  const xattrs = { colour: Uint8Array.of(1, 2), note: 'ä' };
  const made = await call<OpenedBlob>('create', newBlob(4, { name: form, values: xattrs }));
  const again = await call<OpenedBlob>('open', { name: form }, {});
  expect([again.id, again.slot, again.name]).toEqual([made.id, made.slot, form]);
  const byId = await call<OpenedBlob>('open', made.id, {});
  expect(await call('closeHandle', byId.handle)).toBeUndefined();
  await expectCode(call('info', byId.handle), 'EBADF');
  await expectCode(call('create', newBlob(0, named(form))), 'EEXIST');
  await expectCode(call('delete', { name: form }), 'EBUSY');
  expect(await call('getXattr', made.handle, 'colour')).toEqual(xattrs.colour);
  expect(await call('getXattrText', made.handle, 'note')).toBe('ä');
  const name = `${form} renamed`;
  expect(await call('changeXattrs', made.handle, new Map([['name', name]]))).toEqual({ isChanged: true, name });
  expect(await call('listXattrs', made.handle)).toEqual(expect.arrayContaining(['colour', 'note', 'name']));
  expect(await call('changeXattrs', made.handle, new Map([['note', undefined]]))).toEqual({ isChanged: true, name });
  await call('resize', made.handle, 6);
  expect((await call<BlobInfo>('info', made.handle)).sizeBytes).toBe(6 * CLUSTER);
  const snapshot = await call<OpenedBlob>('snapshot', made.handle, named(`${form} snapshot`));
  const clone = await call<OpenedBlob>('clone', snapshot.handle, named());
  expect(await call('clones', snapshot.handle)).toEqual([made.id, clone.id]);
  await call('inflate', clone.handle, NOT_FOLLOWED);
  await call('decouple', made.handle, NOT_FOLLOWED);
  const copy = MemoryDevice.create({ sizeBytes: 1 << 20 });
  expect(await call('copyTo', snapshot.handle, copy.spec, {}, NOT_FOLLOWED)).toBe(0);
  await call('setSuperBlob', made.id);
  expect(await call('getSuperBlob')).toBe(made.id);
  await call('setSuperBlob', undefined);
  for (const name of ['syncBlob', 'flushBlob', 'setReadOnly']) await call(name, made.handle);
  for (const name of ['flush', 'grow']) await call(name);
  const infos = await call<BlobInfo[]>('blobs', {});
  expect(infos.map(({ id }) => id)).toEqual(expect.arrayContaining([made.id, snapshot.id, clone.id]));
  expect((await call<StoreStats>('stats')).blobCount).toBe(infos.length);
  expect([await call('has', made.id), await call('has', { name: 'nobody' })]).toEqual([true, false]);
  expect((await call<BlobInfo>('stat', made.id)).sizeBytes).toBe(6 * CLUSTER);
  expect((await call<{ infos: BlobInfo[] }>('someBlobs', 0, {})).infos.map(({ id }) => id)).toEqual(
    infos.map(({ id }) => id),
  );
  expect(await call('rename', clone.id, `${form} clone`)).toBe(clone.id);
  const [together] = await call<OpenedBlob[]>('snapshotAll', [clone.handle], [named(`${form} together`)]);
  expect(together.name).toBe(`${form} together`);
  await call('closeHandle', together.handle);
  expect(Buffer.from(await call<Uint8Array>('dump')).toString()).toContain(`${form} snapshot`);
  for (const { handle } of [made, again, snapshot, clone]) await call('closeHandle', handle);
  await call('delete', clone.id);
  await expectCode(call('open', clone.id, {}), 'ENOENT');
  for (const name of ['close', 'destroy', 'abandon', 'openStore', 'endStore', 'endDead', 'answerExternal']) {
    await expectCode(call(name), 'ENOTSUP');
  }
}

describe.each(FORMS)('by %s', (form) => {
  test('every method works on a thread that is attached to an inline store', async () => {
    const { yard, actor } = await yardWithActor();
    await expectAllMethods(actor, form);
    await actor.do('detach');
    await yard.expectSound();
    await yard.store.close();
  });

  test('every method works on a thread that is attached to a pooled store', async () => {
    const { store } = await createPooled({
      device: MemoryDevice.create({ sizeBytes: 4 << 20 }),
      clusterSizeBytes: CLUSTER,
    });

    const actor = new Actor();
    await actor.do('attach', store.share());
    await expectAllMethods(actor, form);
    await actor.do('detach');
  });
});

test('a blob that a thread has open cannot be deleted until the thread closes it, detaches, or dies', async () => {
  const { yard, actor } = await yardWithActor();
  const ends = {
    closes: (opened: OpenedBlob) => actor.do('call', 'closeHandle', opened.handle),
    dies: () => actor.kill().then(() => yard.rowFree(actor.row)),
  };
  for (const end of Object.values(ends)) {
    const blob = await yard.store.create({ sizeBytes: CLUSTER });
    const opened = (await actor.do('callSync', 'open', blob.id, {})) as OpenedBlob;
    await blob.close();
    await expectCode(yard.store.delete(blob.id), 'EBUSY');
    await end(opened);
    await yard.store.delete(blob.id);
  }
  const other = await yard.actor();
  const { id } = (await other.do('callSync', 'create', newBlob(1))) as OpenedBlob;
  await other.do('detach');
  await yard.store.delete(id);
  await yard.expectSound();
  await yard.store.close();
});

/** A clone of eight clusters, and a thread that inflates it, and stops in the second call of `onProgress`. */
async function inflating(how: Parameters<typeof followInflate>[2] = {}) {
  const { yard, actor } = await yardWithActor();
  const parent = await yard.store.create({ sizeBytes: 8 * CLUSTER });
  await parent.write(new Uint8Array(8 * CLUSTER).fill(5), 0);
  await parent.setReadOnly();
  const clone = await parent.clone();
  const { handle } = (await actor.do('callSync', 'open', clone.id, {})) as OpenedBlob;
  return { yard, actor, clone, outcome: followInflate(actor, handle, how) };
}

function followInflate(
  actor: Actor,
  handle: number,
  how: { abortAfter?: number; throwAfter?: number; gate?: SharedArrayBuffer; callSync?: string },
): Promise<FollowOutcome> {
  return actor.do('follow', 'inflate', [handle], how);
}

test('a thread can follow a long operation; a synchronous call in the middle of it is EBUSY', async () => {
  const { yard, clone, outcome } = await inflating({ callSync: 'stats' });
  expect(await outcome).toMatchObject({ progress: 8, codeOfSync: 'EBUSY' });
  expect((await clone.info()).allocatedBytes).toBe(8 * CLUSTER);
  await yard.store.close();
});

test('a long operation ends before its next cluster by its signal, or by a callback that throws', async () => {
  const aborted = await inflating({ abortAfter: 3 });
  expect(await aborted.outcome).toMatchObject({ progress: 3, code: 'ABORT_ERR', cause: 'the test aborts' });
  const thrown = await inflating({ throwAfter: 2 });
  expect(await thrown.outcome).toMatchObject({
    progress: 2,
    code: 'ECANCELED',
    cause: { message: 'the test throws' },
  });
  expect((await thrown.clone.info()).allocatedBytes).toBe(2 * CLUSTER);
  await Promise.all([aborted.yard.store.close(), thrown.yard.store.close()]);
});

test('the death of a thread ends its long operation, and blocks no other one', async () => {
  const gate = new Gate();
  gate.shut(1, 1);
  const { yard, actor, clone, outcome } = await inflating({ gate: gate.buffer });
  outcome.catch(() => undefined);
  await gate.held();
  const resizing = watched(clone.resize(CLUSTER));
  await manyTurns();
  expect(resizing.isSettled).toBe(false);
  await actor.kill();
  await resizing.promise;
  await yard.rowFree(actor.row);
  await yard.expectSound();
  await yard.store.close();
});

test('a store closes although a thread is blocked in the middle of a long operation that it follows', async () => {
  const gate = new Gate();
  gate.shut(1, 1);
  const { yard, actor, outcome } = await inflating({ gate: gate.buffer });
  await gate.held();
  await yard.store.close();
  gate.open();
  expect(await outcome).not.toHaveProperty('code'); // the operation was done before the store closed
  await expectCode(actor.do('call', 'stats'), 'EBADF');
  await expectCode(actor.do('callSync', 'stats'), 'EBADF');
});

test('calls that wait for a frozen blob leave the thread enough mailbox slots to leave the blob', async () => {
  const write = new Gate();
  const yard = await ThreadYard.open();
  const blob = await yard.store.create({ sizeBytes: 8 * CLUSTER, thin: true });
  const { actor, blob: its } = await yard.actorIn(blob.id, { write }, true);
  const { handle } = (await actor.do('callSync', 'open', blob.id, {})) as OpenedBlob;
  write.shut();
  const writing = actor.do('write', its, 0, CLUSTER / 2, 1); // is in the blob, and will still ask for an insertion
  await write.held();
  const snapshots = actor.together(...Array.from({ length: 80 }, () => ['call', 'snapshot', handle, named()] as const));
  await manyTurns();
  const more = actor.do('write', its, 0, CLUSTER, 2);
  write.open();
  await Promise.all([writing, more]);
  expect(new Set(codesOf(await snapshots))).toEqual(new Set(['ok']));
  await yard.expectSound();
  await yard.store.close();
});

test('calls fail with EIO when the metadata thread is killed', async () => {
  const { store, parts } = await createPooled({
    device: MemoryDevice.create({ sizeBytes: 4 << 20 }),
    clusterSizeBytes: CLUSTER,
  });

  const actor = new Actor();
  await actor.do('attach', store.share());
  expect(await actor.do('callSync', 'blobs', {})).toEqual([]);
  parts.kill('terminate');
  await until(() => !parts.isWorkerThere);
  const outcomes = await actor.together(['call', 'stats'], ['call', 'blobs', {}], ['callSync', 'stats']);
  expect(codesOf(outcomes)).toEqual(['EIO', 'EIO', 'EIO']);
});
