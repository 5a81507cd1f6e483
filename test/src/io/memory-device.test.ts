/** The devices in memory, shared and sparse. */

import { createHash } from 'node:crypto';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import { MemoryDevice, SparseMemoryDevice } from '@blobyard/io';
import { describe, expect, it } from 'vitest';
import { failure } from './failure.js';

const GIB = 1024 ** 3;
const ioUrl = pathToFileURL(createRequire(import.meta.url).resolve('@blobyard/io')).href;

describe('MemoryDevice', () => {
  it('is made from an image, and returns the same bytes', () => {
    const image = new Uint8Array(8192).map((_, index) => index % 251);
    const device = MemoryDevice.fromBytes(image, { blockLengthBytes: 512 });
    expect(device.blockCount).toBe(16);
    expect(Buffer.compare(device.bytes(), image)).toBe(0);
    const digest = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
    expect(digest(device.bytes())).toBe(digest(image));
  });

  it('transfers bytes to and from buffers of its arena, and changes nothing around them', async () => {
    const device = MemoryDevice.create({ sizeBytes: 64 * 4096, arenaBytes: 65536 });
    const channel = device.openChannel();
    const buffers = [1, 2, 3].map(() => device.allocateBuffer(8192));
    const [, buffer] = buffers;
    expect(buffer.buffer).toBe(device.memory.buffer);
    expect(buffer.byteOffset % 4096).toBe(0);
    buffer.fill(7);
    await channel.write(buffer, 100, 5, 1);
    await channel.read(buffer, 4096, 5, 1);
    await channel.writev([buffer.subarray(0, 1000), new Uint8Array(3096).fill(9)], 9, 1);
    const expected = new Uint8Array(64 * 4096);
    expected
      .fill(7, 5 * 4096, 6 * 4096)
      .fill(7, 9 * 4096, 9 * 4096 + 1000)
      .fill(9, 9 * 4096 + 1000, 10 * 4096);
    expect(Buffer.compare(device.bytes(), expected)).toBe(0);
    expect(buffer.every((byte) => byte === 7)).toBe(true);
    expect([buffers[0], buffers[2]].every((other) => other.every((byte) => byte === 0))).toBe(true);
  });

  it('transfers ranges of bytes to and from any memory, however the two are aligned', async () => {
    const device = MemoryDevice.create({ sizeBytes: 8 * 4096, arenaBytes: 65536 });
    const channel = device.openChannel();
    const model = device.bytes().slice();
    const memories = [
      new Uint8Array(20_000),
      new Uint8Array(new SharedArrayBuffer(20_000)),
      device.allocateBuffer(20_000),
    ];
    const given = new Uint8Array(9000).map((_, index) => (index * 7) % 253);
    for (const [kind, memory] of memories.entries()) {
      for (const position of [0, 1, 100, 4093]) {
        for (const offset of [0, 3, 8, 13]) {
          for (const length of [1, 255, 256, 4095, 4097, 9000]) {
            const name = `memory ${kind}, ${length} bytes at ${position}, from ${offset}`;
            memory.fill(0xee);
            memory.set(given.subarray(0, length), offset);
            await channel.writeBytes?.(memory, offset, position, length);
            model.set(given.subarray(0, length), position);
            expect(Buffer.compare(device.bytes(), model), name).toBe(0);
            memory.fill(0xee);
            await channel.readBytes?.(memory, offset, position, length);
            const expected = new Uint8Array(20_000).fill(0xee);
            expected.set(given.subarray(0, length), offset);
            expect(Buffer.compare(memory, expected), name).toBe(0);
          }
        }
      }
    }
  });

  it('allocates each buffer of the arena once, and again after its release, zeroed', async () => {
    const device = MemoryDevice.create({ sizeBytes: 4096, arenaBytes: 8 * 4096 });
    const buffers = [1, 4096, 4097, 4 * 4096].map((length) => device.allocateBuffer(length).fill(0xff));
    const pages = buffers.flatMap((buffer) =>
      Array.from({ length: Math.ceil(buffer.byteLength / 4096) }, (_, page) => buffer.byteOffset + page * 4096),
    );
    expect(new Set(pages).size).toBe(8);
    expect((await failure('ENOMEM', () => device.allocateBuffer(1))).message).toContain('0 bytes free');
    device.releaseBuffer(buffers[2]);
    await failure('EINVAL', () => device.releaseBuffer(buffers[2]));
    await failure('ENOMEM', () => device.allocateBuffer(3 * 4096));
    const again = device.allocateBuffer(2 * 4096);
    expect(again.byteOffset).toBe(buffers[2].byteOffset);
    expect(again.every((byte) => byte === 0)).toBe(true);
    await failure('EINVAL', () => device.releaseBuffer(again.subarray(4096)));
    await failure('EINVAL', () => device.releaseBuffer(new Uint8Array(4096)));
  });

  it('has the same bytes, size and arena in another thread', async () => {
    const device = MemoryDevice.create({ sizeBytes: 8 * 4096, maxSizeBytes: 16 * 4096 });
    const channel = device.openChannel();
    const buffer = device.allocateBuffer(4096).fill(3);
    await channel.write(buffer, 0, 1, 1);
    const worker = new Worker(
      `(async () => {
        const { parentPort, workerData } = require('node:worker_threads');
        const { openDevice } = await import(workerData.ioUrl);
        const device = await openDevice(workerData.spec);
        const channel = device.openChannel();
        const posted = device.bufferAt(workerData.at, 4096);
        const own = device.allocateBuffer(4096);
        channel.read(own, 0, 1, 1);
        posted.set(own.map((byte) => byte + 1));
        device.resize(12);
        channel.write(posted, 0, 11, 1);
        parentPort.postMessage({ offset: own.byteOffset, blockCount: device.blockCount });
      })()`,
      { eval: true, workerData: { ioUrl, spec: device.spec, at: buffer.byteOffset } },
    );
    const answer = await new Promise<{ offset: number; blockCount: number }>((resolve, reject) => {
      worker.once('message', resolve).once('error', reject);
    });
    await worker.terminate();
    expect(answer.offset).not.toBe(buffer.byteOffset);
    expect([device.blockCount, answer.blockCount]).toEqual([12, 12]);
    const back = new Uint8Array(4096);
    await channel.read(back, 0, 11, 1);
    expect(back.every((byte) => byte === 4)).toBe(true);
  });

  it('never gives a page of the arena to two threads', async () => {
    const device = MemoryDevice.create({ sizeBytes: 4096, arenaBytes: 64 * 4096 });
    const workers = [1, 2, 3].map((id) => {
      return new Worker(
        `import(${JSON.stringify(ioUrl)}).then(({ MemoryDevice }) => {
          const { parentPort, workerData } = require('node:worker_threads');
          const { id, memory } = workerData;
          const device = new MemoryDevice({ memory });
          let foreign = 0;
          const held = [];
          for (let round = 0; round < 3000; round++) {
            held.push(device.allocateBuffer(1 + ((round * 7) % 3) * 4096).fill(id));
            if (held.length < 3) continue;
            const [buffer] = held.splice(round % 3, 1);
            foreign += buffer.findIndex((byte) => byte !== id) + 1;
            device.releaseBuffer(buffer);
          }
          for (const buffer of held) device.releaseBuffer(buffer);
          parentPort.postMessage(foreign);
        })`,
        { eval: true, workerData: { id, memory: device.memory } },
      );
    });
    const foreign = workers.map(
      (worker) => new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject)),
    );
    expect(await Promise.all(foreign)).toEqual([0, 0, 0]);
    await Promise.all(workers.map((worker) => worker.terminate()));
    expect(device.allocateBuffer(64 * 4096).every((byte) => byte === 0)).toBe(true);
  });

  it('works up to the end of the largest memory', async () => {
    const sizeBytes = 4 * GIB - 1024 * 1024;
    const device = MemoryDevice.create({ sizeBytes, arenaBytes: 65536 });
    const channel = device.openChannel();
    const arena = device.allocateBuffer(8192).fill(1);
    const plain = new Uint8Array(8192).fill(2);
    await channel.write(arena, 0, device.blockCount - 2, 1);
    await channel.write(plain, 0, device.blockCount - 1, 1);
    await channel.read(arena, 0, device.blockCount - 2, 2);
    await channel.read(plain, 0, device.blockCount - 2, 2);
    expect(Buffer.compare(arena, plain)).toBe(0);
    expect([plain[4095], plain[4096], device.bytes()[sizeBytes - 1]]).toEqual([1, 2, 2]);
    await channel.copy?.(0, device.blockCount - 1, 1);
    await channel.writeZeroes(device.blockCount - 2, 2);
    await channel.read(plain, 0, device.blockCount - 2, 2);
    expect(plain.every((byte) => byte === 0)).toBe(true);
    expect(device.bytes()[0]).toBe(2);
  });

  it('rejects invalid options', async () => {
    const refused = [
      { sizeBytes: Number.NaN },
      { sizeBytes: -4096 },
      { sizeBytes: 1000 },
      { sizeBytes: 4096, blockLengthBytes: 0 },
      { sizeBytes: 4096, maxSizeBytes: 512 },
      { sizeBytes: 4096, arenaBytes: 1.5 },
    ];
    for (const options of refused) await failure('EINVAL', () => MemoryDevice.create(options));
    const error = await failure('EINVAL', () => MemoryDevice.create({ sizeBytes: 4 * GIB }));
    expect(error.message).toContain("'sparse-memory'");
    await failure('EINVAL', () => new MemoryDevice({ memory: { buffer: new SharedArrayBuffer(65536) } }));
    const device = MemoryDevice.create({ sizeBytes: 4096 });
    expect((await failure('EINVAL', () => device.resize(2))).message).toContain('maxSizeBytes');
  });
});

describe('SparseMemoryDevice', () => {
  it('allocates memory only for written chunks', async () => {
    const device = new SparseMemoryDevice({ sizeBytes: 64 * 1024 * GIB });
    const channel = device.openChannel();
    const block = new Uint8Array(4096).fill(1);
    await channel.write(block, 0, 0, 1);
    await channel.write(block, 0, device.blockCount - 1, 1);
    expect(device.allocatedBytes).toBe(2 * 65536);
    expect(device.isZeroes(1024, device.blockCount - 2048)).toBe(true);
    expect(device.isZeroes(0, device.blockCount)).toBe(false);
    await channel.unmap(0, device.blockCount / 2);
    expect(device.allocatedBytes).toBe(65536);
    expect(device.isZeroes(0, device.blockCount - 1024)).toBe(true);
    await channel.writeZeroes(0, device.blockCount);
    expect(device.allocatedBytes).toBe(0);
    await channel.write(block, 0, device.blockCount - 1, 1);
    device.resize(10);
    expect(device.allocatedBytes).toBe(0);
    await failure('EINVAL', () => device.resize(2 ** 42));
  });

  it('is made from an image, and returns it whole or in pieces', async () => {
    const image = new Uint8Array(200_000).map((_, index) => index % 241);
    const device = SparseMemoryDevice.fromBytes(image, { blockLengthBytes: 1000 });
    await device.openChannel().unmap(70, 80);
    image.fill(0, 70_000, 150_000);
    expect(Buffer.compare(device.bytes(), image)).toBe(0);
    expect(Buffer.compare(Buffer.concat([...device.chunks()]), image)).toBe(0);
  });
});
