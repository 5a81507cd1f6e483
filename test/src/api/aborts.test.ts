/** Calls that their signal aborts. See `AbortableOptions`. */

import type { Stream } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import type { Blob, Store } from 'blobyard';
import { asyncDevice, FaultyDevice } from 'blobyard/devices';
import { describe, expect, test } from 'vitest';
import { shuffled } from '../random.js';
import {
  bytes,
  CLUSTER,
  expectAbort,
  expectCode,
  expectSame,
  isPooled,
  MiB,
  memory,
  testStore,
  usable,
} from './support.js';

type Call = (options: never) => Promise<unknown>;

/** Every method that takes a signal, of a store, a blob and its xattrs. */
function calls(store: Store, blob: Blob): Record<string, Call> {
  const { xattrs } = blob;
  const data = bytes(100);
  return {
    create: (options) => store.create(options),
    open: (options) => store.open(blob.id, options),
    delete: (options) => store.delete({ name: 'other' }, options),
    'snapshot of several': (options) => store.snapshot([blob], options),
    blobs: (options) => store.blobs(options),
    stats: (options) => store.stats(options),
    getSuperBlob: (options) => store.getSuperBlob(options),
    setSuperBlob: (options) => store.setSuperBlob(blob.id, options),
    grow: (options) => store.grow(options),
    'flush of the store': (options) => store.flush(options),
    dump: (options) => store.dump(undefined, options),
    info: (options) => blob.info(options),
    clones: (options) => blob.clones(options),
    read: (options) => blob.read(0, 100, options),
    'read into': (options) => blob.read(0, new Uint8Array(512), options),
    readv: (options) => blob.readv(0, [new Uint8Array(512)], options),
    write: (options) => blob.write(data, 0, options),
    writev: (options) => blob.writev([data, data], 0, options),
    writeZeroes: (options) => blob.writeZeroes(0, 512, options),
    trim: (options) => blob.trim(0, CLUSTER, options),
    resize: (options) => blob.resize(CLUSTER, options),
    sync: (options) => blob.sync(options),
    flush: (options) => blob.flush(options),
    snapshot: (options) => blob.snapshot(options),
    clone: (options) => blob.clone(options),
    inflate: (options) => blob.inflate(options),
    decouple: (options) => blob.decouple(options),
    setReadOnly: (options) => blob.setReadOnly(options),
    copyTo: (options) => blob.copyTo(usable(memory()), options),
    get: (options) => xattrs.get('a', options),
    getText: (options) => xattrs.getText('a', options),
    set: (options) => xattrs.set('a', 'new', options),
    setAll: (options) => xattrs.setAll({ a: 'new' }, options),
    'delete of an xattr': (options) => xattrs.delete('a', options),
    list: (options) => xattrs.list(options),
  };
}

async function filled() {
  const store = await testStore(memory(8 * MiB));
  await (await store.create({ name: 'other' })).close();
  const blob = await store.create({ name: 'it', sizeBytes: 4 * CLUSTER, thin: true, xattrs: { a: 'b' } });
  await blob.write(bytes(4 * CLUSTER), 0);
  return { store, blob };
}

describe('a call', () => {
  test('whose signal is aborted does nothing, and says so as Node does', async () => {
    const { store, blob } = await filled();
    const before = [await store.blobs(), await store.stats(), await blob.xattrs.getText('a')];
    const reason = { why: 'the test' };
    const signal = AbortSignal.abort(reason);
    for (const call of Object.values(calls(store, blob))) await expectAbort(call({ signal } as never), reason);
    expect([await store.blobs(), await store.stats(), await blob.xattrs.getText('a')]).toEqual(before);
    expectSame(await blob.read(0, 4 * CLUSTER), bytes(4 * CLUSTER));
  });

  test('refuses options that it does not know, and a signal that is none', async () => {
    const { store, blob } = await filled();
    for (const [name, call] of Object.entries(calls(store, blob))) {
      await expectCode(call({ nonsense: 1 } as never), 'EINVAL', /nonsense/);
      await expectCode(call({ signal: {} } as never), 'EINVAL', /signal/);
      if (name !== 'create' && name !== 'open') await expectCode(call(7 as never), 'EINVAL', /object/);
    }
  });

  test('with a signal that is not aborted does what it does without', async () => {
    const { store, blob } = await filled();
    const { signal } = new AbortController();
    const content = bytes(3 * MiB, 5);
    await blob.resize(4 * MiB, { signal });
    await blob.write(content, 100, { signal });
    await blob.writev([content.subarray(0, 700), content.subarray(700, 5000)], 3 * MiB + 200, { signal });
    expectSame(await blob.read(100, content.length, { signal }), content);
    const [one, two] = [new Uint8Array(1000), new Uint8Array(4000)];
    await blob.readv(3 * MiB + 200, [one, two], { signal });
    expectSame(Buffer.concat([one, two]), content.subarray(0, 5000));
    await blob.writeZeroes(100, 1 * MiB, { signal });
    await blob.trim(100 + MiB, 1 * MiB, { signal });
    expectSame(await blob.read(100, 2 * MiB), new Uint8Array(2 * MiB));
    expectSame(await blob.read(100 + 2 * MiB, MiB), content.subarray(2 * MiB));
    expect((await store.blobs({ signal })).length).toBe(2);
  });
});

describe('a transfer', () => {
  const DEVICES = [
    ['takes any bytes', 100, () => new FaultyDevice(memory(16 * MiB), { asynchronous: true })],
    ['takes whole blocks', 4096, () => new FaultyDevice(memory(16 * MiB, 4096), { asynchronous: true })],
  ] as const;

  test.each(DEVICES)('is waited for where the device has it; no more is sent: %s', async (_, offset, make) => {
    const device = make();
    const store = await testStore(device);
    const blob = await store.create({ sizeBytes: 8 * MiB });
    await blob.write(bytes(8 * MiB), 0);
    for (const [kind, begin] of [
      ['read', (into: Uint8Array, signal: AbortSignal) => blob.read(offset, into, { signal })],
      ['write', (data: Uint8Array, signal: AbortSignal) => blob.write(data, offset, { signal })],
    ] as const) {
      const controller = new AbortController();
      const array = bytes(7 * MiB, 9);
      const gate = device.gate(kind, 1);
      let hasEnded = false;
      const transfer = begin(array, controller.signal);
      transfer
        .catch(() => undefined)
        .finally(() => {
          hasEnded = true;
        });
      await gate.reached;
      controller.abort('enough');
      for (let k = 0; k < 20; k++) await turn();
      expect(hasEnded).toBe(false);
      gate.release();
      await expectAbort(transfer, 'enough');
      expectSame(array.subarray(3 * MiB), bytes(7 * MiB, 9).subarray(3 * MiB)); // a read filled a part at most
    }
    expectSame(await blob.read(4 * MiB, 4 * MiB), bytes(8 * MiB).subarray(4 * MiB));
    await blob.write(bytes(8 * MiB, 3), 0); // no turn among the writes is lost
    expectSame(await blob.read(0, 8 * MiB), bytes(8 * MiB, 3));
  });

  test('that waits for its turn ends without a request', async () => {
    const device = asyncDevice(memory(4 * MiB, 4096), shuffled(3));
    const store = await testStore(device, { requestsMax: 1 });
    const blob = await store.create({ sizeBytes: MiB });
    await blob.write(bytes(MiB), 0);
    const controller = new AbortController();
    const first = blob.write(bytes(100, 2), 10);
    const behind = [10, 200, 5000].map((at) => blob.write(bytes(100, 3), at, { signal: controller.signal }));
    const outcomes = Promise.allSettled(behind);
    controller.abort();
    await first;
    const states = (await outcomes).map((each) => (each.status === 'rejected' ? (each.reason as Error).name : 'done'));
    // Other threads may have got a write at once; then it is done, and the call says so.
    if (!isPooled) expect(states).toEqual(['AbortError', 'AbortError', 'AbortError']);
    const expected = bytes(MiB);
    expected.set(bytes(100, 2), 10);
    for (const [k, at] of [10, 200, 5000].entries()) if (states[k] === 'done') expected.set(bytes(100, 3), at);
    expectSame(await blob.read(0, MiB), expected);
  });
});

test('streams end with the same error as calls', async () => {
  const { blob } = await filled();
  for (const method of ['createReadStream', 'createWriteStream'] as const) {
    const controller = new AbortController();
    const stream: Stream = blob[method]({ signal: controller.signal });
    const failure = new Promise((_, reject) => stream.once('error', reject));
    controller.abort('enough');
    await expectAbort(failure, 'enough');
  }
});
