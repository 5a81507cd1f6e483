/** What is written and read: memory of any kind, and text. */

import { expect, test } from 'vitest';
import { detach, resizable } from '../hardening/odd-values.js';
import { bytes, CLUSTER, expectCode, expectSame, testStore } from './support.js';

const CONTENT = bytes(512, 3);

function memoryOf(type: typeof ArrayBuffer | typeof SharedArrayBuffer, before = 0) {
  const buffer = new type(before + 512 + before);
  new Uint8Array(buffer).set(CONTENT, before);
  return buffer;
}

/** The bytes of `CONTENT` in each kind of memory. */
const KINDS = {
  Uint8Array: () => CONTENT.slice(),
  Buffer: () => Buffer.from(CONTENT),
  Uint16Array: () => new Uint16Array(memoryOf(ArrayBuffer)),
  Float64Array: () => new Float64Array(memoryOf(SharedArrayBuffer)),
  BigInt64Array: () => new BigInt64Array(memoryOf(ArrayBuffer)),
  DataView: () => new DataView(memoryOf(ArrayBuffer, 3), 3, 512),
  'a part of memory': () => new Int32Array(memoryOf(ArrayBuffer, 8), 8, 128),
  ArrayBuffer: () => memoryOf(ArrayBuffer),
  SharedArrayBuffer: () => memoryOf(SharedArrayBuffer),
  text: () => Buffer.from(CONTENT).toString('latin1'),
};

test.each(Object.entries(KINDS))('%s is written by its bytes', async (kind, make) => {
  const store = await testStore();
  const blob = await store.create({ sizeBytes: CLUSTER });
  const options = kind === 'text' ? ({ encoding: 'latin1' } as const) : undefined;
  let at = 0;
  const isThere = async (length = 512) => {
    expectSame(await blob.read(at, length), Buffer.concat([CONTENT, CONTENT]).subarray(0, length));
    at += 1100; // the next place is not a whole io unit
  };
  await blob.write(make(), at, options);
  await isThere();
  await blob.write(make(), at, options);
  await isThere();
  blob.writeSync(make(), at, options);
  await isThere();
  await blob.writev([make(), CONTENT], at, options);
  await isThere(1024);
  blob.writevSync([make(), CONTENT], at, options);
  await isThere(1024);
});

test('any view is read into, and is what comes back', async () => {
  const store = await testStore();
  const blob = await store.create({ sizeBytes: CLUSTER });
  await blob.write(CONTENT, 100);
  const words = new Uint16Array(256);
  expect(await blob.read(100, words)).toBe(words);
  expectSame(new Uint8Array(words.buffer), CONTENT);
  const view = new DataView(new SharedArrayBuffer(520), 8);
  expect(blob.readSync(100, view)).toBe(view);
  expectSame(new Uint8Array(view.buffer, 8), CONTENT);
  const [first, second] = [new BigInt64Array(16), new DataView(new ArrayBuffer(384))];
  await blob.readv(100, [first, second]);
  expectSame(Buffer.concat([new Uint8Array(first.buffer), new Uint8Array(second.buffer)]), CONTENT);
  const again = [new Float32Array(32), new Uint8Array(384)];
  blob.readvSync(100, again);
  expectSame(Buffer.concat(again.map(({ buffer }) => new Uint8Array(buffer))), CONTENT);
});

test('text is UTF-8 unless told otherwise', async () => {
  const store = await testStore();
  const blob = await store.create({ sizeBytes: CLUSTER });
  await blob.write('grün', 1);
  expect(new TextDecoder().decode(await blob.read(1, 5))).toBe('grün');
  await blob.writev(['00ff', CONTENT.subarray(0, 1)], 0, { encoding: 'hex' });
  expectSame(await blob.read(0, 3), Uint8Array.of(0, 255, CONTENT[0]));
  await blob.write('', 0);
  for (const encoding of ['no such', 1, null])
    await expectCode(blob.write('a', 0, { encoding } as never), 'EINVAL', /encoding/);
});

test('memory that is gone, and what is no memory, is refused', async () => {
  const store = await testStore();
  const blob = await store.create({ sizeBytes: CLUSTER });
  const gone = new Uint8Array(512);
  const words = new Uint16Array(gone.buffer);
  const view = new DataView(gone.buffer);
  detach(gone);
  const { array, shrink } = resizable(512);
  const outside = new DataView(array.buffer, 8, 64);
  shrink(4);
  for (const each of [gone, words, view, gone.buffer, outside, 7, null, {}, [1]]) {
    await expectCode(blob.write(each as never, 0), 'EINVAL');
    await expectCode(blob.writev([each as never], 0), 'EINVAL', /data\[0\]/);
    await expectCode(() => blob.writeSync(each as never, 0), 'EINVAL');
    if (each !== 7) await expectCode(blob.read(0, each as never), 'EINVAL');
    await expectCode(blob.readv(0, [each as never]), 'EINVAL', /into\[0\]/);
  }
  await expectCode(blob.read(0, new ArrayBuffer(8) as never), 'EINVAL');
  await expectCode(blob.read(0, 'text' as never), 'EINVAL');
});
