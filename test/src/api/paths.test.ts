/** Paths are text, a Buffer or the URL of a file, wherever one is taken. */

import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { check } from 'blobyard';
import { expect, test } from 'vitest';
import { createStore, expectCode, MiB, openStore, temporaryFolder } from './support.js';

const FORMS = {
  text: (file: string) => file,
  Buffer: (file: string) => Buffer.from(file),
  URL: (file: string) => pathToFileURL(file),
};

test.each(Object.entries(FORMS))('%s', async (_, form) => {
  const file = form(path.join(await temporaryFolder(), 'grüner Hof #1.img'));
  const store = await createStore({ device: { kind: 'file', path: file, create: true, sizeBytes: 4 * MiB } });
  await (await store.create({ name: 'here' })).close();
  await store.close();
  expect(await check({ kind: 'file', path: file })).toMatchObject({ outcome: 'clean' });
  const again = await openStore({ device: { kind: 'file', path: file } });
  const blob = await again.open({ name: 'here' });
  await blob.setReadOnly();
  const copy = form(path.join(await temporaryFolder(), 'copy.img'));
  await blob.copyTo({ kind: 'file', path: copy, create: true, sizeBytes: MiB });
  await blob.close();
  await again.close();
});

test('what is no path is refused', async () => {
  const odd = [
    undefined,
    7,
    '',
    'a\0b',
    Buffer.alloc(0),
    Buffer.from([0x2f, 0xff]),
    new URL('http://localhost/a'),
    new Uint8Array(3),
  ];
  for (const each of odd) {
    await expectCode(openStore({ device: { kind: 'file', path: each as never } }), 'EINVAL', /path/);
    await expectCode(check({ kind: 'file', path: each as never }), 'EINVAL', /path/);
    await expectCode(
      openStore({ device: { kind: 'custom', module: each as never } }),
      /http/.test(String(each)) ? 'ENOENT' : 'EINVAL',
      /module/,
    );
  }
});
