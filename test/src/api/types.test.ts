/** The types of the API: the compiler checks them when the tests are built. */

import { expect, expectTypeOf, test } from 'vitest';
import { CLUSTER, testStore } from './support.js';

test('reads have the type of what they return', async () => {
  const store = await testStore();
  const blob = await store.create({ sizeBytes: CLUSTER });
  const fresh = await blob.read(0, 8);
  expectTypeOf(fresh).toEqualTypeOf<Uint8Array<ArrayBuffer>>();
  expectTypeOf(blob.readSync(0, 8)).toEqualTypeOf<Uint8Array<ArrayBuffer>>();
  const words = await blob.read(0, new Uint16Array(4));
  expectTypeOf(words).toEqualTypeOf<Uint16Array<ArrayBuffer>>();
  const shared = await blob.read(0, new Uint8Array(new SharedArrayBuffer(8)));
  expectTypeOf(shared).toEqualTypeOf<Uint8Array<SharedArrayBuffer>>();
  const buffer = blob.readSync(0, Buffer.alloc(8));
  expectTypeOf(buffer).toEqualTypeOf<Buffer<ArrayBuffer>>();
  expectTypeOf(blob.createReadStream().bytesRead).toBeNumber();
  expectTypeOf(blob.createWriteStream().bytesWritten).toBeNumber();
  new Blob([fresh]); // what only takes ArrayBuffers takes it
  for (const each of [fresh, words, shared, buffer]) expect(each.byteLength).toBe(8);
});
