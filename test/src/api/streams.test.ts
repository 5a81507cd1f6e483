/** Streams from and to blobs. */

import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setImmediate as turn } from 'node:timers/promises';
import { asyncDevice, FaultyDevice } from 'blobyard/devices';
import { describe, expect, test } from 'vitest';
import { shuffled } from '../random.js';
import { bytes, CLUSTER, expectCode, expectSame, KiB, MiB, memory, temporaryFolder, testStore } from './support.js';

const DEVICES = [
  ['synchronous', () => memory(16 * MiB)],
  ['asynchronous', () => asyncDevice(memory(16 * MiB), shuffled(5))],
] as const;

describe.each(DEVICES)('on a device that is %s', (_, makeDevice) => {
  test('a file is copied into a blob and back without a change', async () => {
    const folder = await temporaryFolder();
    const [source, target] = [path.join(folder, 'in'), path.join(folder, 'out')];
    const content = bytes(5 * MiB + 333);
    await writeFile(source, content);
    const store = await testStore(makeDevice());
    const blob = await store.create({ sizeBytes: 6 * MiB, thin: true });
    await pipeline(createReadStream(source), blob.createWriteStream({ start: 4099, flush: true }));
    await pipeline(blob.createReadStream({ start: 4099, end: 4099 + content.length - 1 }), createWriteStream(target));
    const hash = (data: Uint8Array) => createHash('sha256').update(data).digest('hex');
    expect(hash(await readFile(target))).toBe(hash(content));
  });

  test('chunks of any size are streamed, with small water marks', async () => {
    const store = await testStore(makeDevice());
    const blob = await store.create({ sizeBytes: 4 * CLUSTER });
    const content = bytes(30_000, 4);
    const chunks = [1, 2, 500, 512, 513, 7000, 3, 0, 20_000].map((length, index, all) => {
      const at = all.slice(0, index).reduce((sum, each) => sum + each, 0);
      return content.subarray(at, at + length);
    });
    await pipeline(Readable.from(chunks), blob.createWriteStream({ start: 10, highWaterMark: 100 }));
    const length = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
    const read = await collect(blob.createReadStream({ start: 10, end: 9 + length, highWaterMark: 777 }));
    expectSame(read, content.subarray(0, length));
  });
});

describe('streams', () => {
  test('begin and end at the given offsets', async () => {
    const store = await testStore();
    const blob = await store.create({ sizeBytes: CLUSTER });
    await blob.write(bytes(CLUSTER), 0);
    expectSame(await collect(blob.createReadStream()), bytes(CLUSTER));
    expectSame(await collect(blob.createReadStream({ start: 5, end: 5 })), bytes(CLUSTER).subarray(5, 6));
    expectSame(await collect(blob.createReadStream({ start: CLUSTER })), new Uint8Array(0));
    const empty = await store.create();
    expectSame(await collect(empty.createReadStream()), new Uint8Array(0));
    for (const options of [
      { start: -1 },
      { end: CLUSTER },
      { start: CLUSTER + 1 },
      { start: 5, end: 3 },
      { start: 1.5 },
      { highWaterMark: 0 },
      { signal: 1 },
      { begin: 1 },
    ]) {
      await expectCode(() => blob.createReadStream(options as never), 'EINVAL');
    }
    for (const options of [
      { start: -1 },
      { start: CLUSTER + 1 },
      { highWaterMark: Number.NaN },
      { flush: 1 },
      { end: 1 },
    ]) {
      await expectCode(() => blob.createWriteStream(options as never), 'EINVAL');
    }
  });

  test('hold back a writer that is faster than the device', async () => {
    const device = new FaultyDevice(memory(), { asynchronous: true });
    const store = await testStore(device);
    const blob = await store.create({ sizeBytes: 16 * CLUSTER });
    const stream = blob.createWriteStream({ highWaterMark: 8 * KiB });
    const gate = device.gate('write', 1);
    expect(stream.write(bytes(4 * KiB))).toBe(true);
    expect(stream.write(bytes(8 * KiB, 2))).toBe(false);
    await gate.reached;
    let drained = false;
    stream.once('drain', () => {
      drained = true;
    });
    await blob.read(0, 1); // other requests go on meanwhile
    expect(drained).toBe(false);
    gate.release();
    await new Promise((resolve) => stream.once('drain', resolve));
    await new Promise<void>((resolve) => stream.end(() => resolve()));
    expectSame(await blob.read(4 * KiB, 8 * KiB), bytes(8 * KiB, 2));
  });

  test('do not read more than their water mark ahead of a slow reader', async () => {
    const device = new FaultyDevice(memory(), { asynchronous: true });
    const store = await testStore(device);
    const blob = await store.create({ sizeBytes: 16 * CLUSTER });
    await blob.write(bytes(16 * CLUSTER), 0);
    const before = device.count('read');
    const stream = blob.createReadStream({ highWaterMark: CLUSTER });
    await new Promise((resolve) => stream.once('readable', resolve));
    await blob.read(0, 1);
    expect(device.count('read') - before).toBeLessThan(4);
    expectSame(await collect(stream), bytes(16 * CLUSTER));
  });

  test('fail when the blob fails', async () => {
    const device = new FaultyDevice(memory());
    const store = await testStore(device);
    const blob = await store.create({ sizeBytes: 2 * CLUSTER });
    device.failAt(2, { kind: 'read' });
    await expectCode(collect(blob.createReadStream({ highWaterMark: 4096 })), 'EIO');
    device.failAt(2, { kind: 'write' });
    await expectCode(pipeline(Readable.from([bytes(512), bytes(512)]), blob.createWriteStream()), 'EIO');
    await expectCode(pipeline(Readable.from([bytes(3 * CLUSTER)]), blob.createWriteStream()), 'EINVAL', /the blob has/);
    const abandoned = blob.createReadStream({ highWaterMark: 512 });
    const source = blob.createWriteStream();
    await blob.close();
    await expectCode(collect(abandoned), 'EBADF');
    await expectCode(pipeline(Readable.from([bytes(10)]), source), 'EBADF');
    await expectCode(() => blob.createReadStream(), 'EBADF');
    await expectCode(() => blob.createWriteStream(), 'EBADF');
  });

  test('are aborted by their signal', async () => {
    const store = await testStore();
    const blob = await store.create({ sizeBytes: 2 * CLUSTER });
    const controller = new AbortController();
    const reading = blob.createReadStream({ signal: controller.signal, highWaterMark: 512 });
    const writing = blob.createWriteStream({ signal: controller.signal });
    const failures = Promise.all(
      [reading, writing].map((stream) => new Promise((resolve) => stream.once('error', resolve))),
    );
    controller.abort();
    expect(await failures).toMatchObject([{ name: 'AbortError' }, { name: 'AbortError' }]);
  });

  test('stop reading when their reader ends', async () => {
    const store = await testStore();
    const blob = await store.create({ sizeBytes: 2 * CLUSTER });
    const stream = blob.createReadStream({ highWaterMark: 512 });
    const failing = new Writable({ write: (_chunk, _encoding, done) => done(new Error('full')) });
    await expect(pipeline(stream, failing)).rejects.toThrow('full');
    expect(stream.destroyed).toBe(true);
    await blob.close();
  });
});

describe('a stream that grows its blob', () => {
  const chunks = Array.from({ length: 20 }, (_, k) => bytes(5000, k + 1));
  const content = Buffer.concat(chunks);

  test.each([true, false])('takes a source of unknown length; thin: %s', async (thin) => {
    const store = await testStore();
    const blob = await store.create({ sizeBytes: CLUSTER, thin });
    const stream = blob.createWriteStream({ start: 100, grow: true, flush: true });
    await pipeline(Readable.from(chunks), stream);
    expect(stream.bytesWritten).toBe(content.length);
    expect(blob.sizeBytes).toBe(Math.ceil((100 + content.length) / CLUSTER) * CLUSTER);
    expect((await blob.info()).sizeBytes).toBe(blob.sizeBytes);
    const rest = blob.sizeBytes - 100 - content.length;
    expectSame(await blob.read(0, blob.sizeBytes), Buffer.concat([new Uint8Array(100), content, new Uint8Array(rest)]));
  });

  test('never makes it smaller, whoever else grows it', async () => {
    const store = await testStore();
    const blob = await store.create({ thin: true });
    const other = await store.open(blob.id);
    await Promise.all([
      pipeline(Readable.from(chunks), blob.createWriteStream({ grow: true, highWaterMark: 7000 })),
      pipeline(Readable.from(chunks), other.createWriteStream({ grow: true, highWaterMark: 20_000 })),
      other.resize(4 * content.length),
    ]);
    expect(blob.sizeBytes).toBe(Math.ceil((4 * content.length) / CLUSTER) * CLUSTER);
    expectSame(await blob.read(0, content.length), content);
    await other.close();
  });

  test('fails where the store is full, with all before it written; also where the device fails', async () => {
    const device = new FaultyDevice(memory(MiB));
    const store = await testStore(device);
    const blob = await store.create({ thin: true });
    const endless = function* () {
      for (let k = 0; ; k++) yield bytes(5000, 1 + (k % 20));
    };
    const stream = blob.createWriteStream({ grow: true, highWaterMark: 5000 });
    await expectCode(pipeline(Readable.from(endless()), stream), 'ENOSPC');
    const whole = Math.min(stream.bytesWritten, content.length);
    expect(whole).toBe(content.length);
    expectSame(await blob.read(0, whole), content);
    const next = await store.open(blob.id);
    await next.resize(CLUSTER);
    device.failAt(1, { kind: 'write' });
    const failing = next.createWriteStream({ start: CLUSTER, grow: true });
    await expectCode(pipeline(Readable.from([bytes(5000)]), failing), 'EIO');
    expect(failing.bytesWritten).toBe(0);
    expectSame(await next.read(0, CLUSTER), content.subarray(0, CLUSTER));
    await pipeline(Readable.from([bytes(5000)]), next.createWriteStream({ start: CLUSTER, grow: true }));
    expectSame(await next.read(CLUSTER, 5000), bytes(5000));
    await next.close();
  });
});

test('streams count their bytes', async () => {
  const store = await testStore();
  const blob = await store.create({ sizeBytes: 4 * CLUSTER });
  const writing = blob.createWriteStream({ start: 10 });
  expect(writing.bytesWritten).toBe(0);
  await pipeline(Readable.from([bytes(1000), bytes(2000)]), writing);
  expect(writing.bytesWritten).toBe(3000);
  const reading = blob.createReadStream({ start: 10, end: 3009, highWaterMark: 1000 });
  expect(reading.bytesRead).toBe(0);
  for await (const _ of reading) expect(reading.bytesRead % 1000).toBe(0);
  expect(reading.bytesRead).toBe(3000);
});

test('a stream closes after its last request, also when it is destroyed', async () => {
  const device = new FaultyDevice(memory(), { asynchronous: true });
  const store = await testStore(device);
  const blob = await store.create({ sizeBytes: 4 * CLUSTER });
  for (const kind of ['read', 'write'] as const) {
    const gate = device.gate(kind, 1);
    const stream = kind === 'read' ? blob.createReadStream() : blob.createWriteStream();
    if (stream instanceof Readable) stream.resume();
    else stream.write(bytes(CLUSTER));
    await gate.reached;
    let isClosed = false;
    const closed = new Promise<void>((resolve) => {
      stream.once('close', () => {
        isClosed = true;
        resolve();
      });
    });
    stream.destroy();
    for (let k = 0; k < 20; k++) await turn();
    expect(isClosed).toBe(false);
    gate.release();
    await closed;
  }
});

async function collect(stream: Readable): Promise<Uint8Array> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}
