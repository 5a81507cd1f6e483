/** Small reads of files by `pread` through koffi, and without it by `fs.readSync`. */

import fs from 'node:fs';
import { FileDevice, nodeFileSystem } from '@blobyard/io';
import { loadPread, type Pread, SMALL_READ_BYTES_MAX, smallReadsBy } from '@blobyard/io/internal/small-reads';
import { describe, expect, it } from 'vitest';
import { failure } from './failure.js';
import { newPath } from './temp-folder.js';

const SIZE = 256 * 1024;
const isTried = process.platform === 'linux' && ['arm64', 'x64'].includes(process.arch);
const pread = loadPread();

/** A file open for reading and writing, in which neighbouring bytes differ. */
function newFile(lengthBytes: number): { fd: number; path: string; bytes: Uint8Array } {
  const path = newPath();
  const bytes = Uint8Array.from({ length: lengthBytes }, (_, index) => (index * 7 + (index >> 8)) & 255);
  fs.writeFileSync(path, bytes);
  return { fd: fs.openSync(path, 'r+'), path, bytes };
}

/** Small reads that call `pread` from the second read on. Counts these calls, and how often `pread` was looked for. */
function counted(call: Pread) {
  const calls = { count: 0, loads: 0 };
  const counting: Pread = (...args) => {
    calls.count++;
    return call(...args);
  };
  const load = () => {
    calls.loads++;
    return counting;
  };
  return { calls, read: smallReadsBy(load, 1) };
}

it.runIf(isTried)('koffi loads on this system', () => expect(pread).toBeDefined());

describe.runIf(pread !== undefined)('small reads by pread', () => {
  const call = pread as Pread;

  it.each([
    ['private memory', (length: number) => new ArrayBuffer(length)],
    ['shared memory', (length: number) => new SharedArrayBuffer(length)],
    ['growable shared memory', (length: number) => new SharedArrayBuffer(length, { maxByteLength: 2 * length })],
  ])('fill exactly the range that was asked for: %s', (_, allocate) => {
    const { fd, bytes } = newFile(8192);
    const { calls, read } = counted(call);
    read(fd, new Uint8Array(1), 0, 1, 0);
    const memory = allocate(8192);
    for (const [viewAt, offset, length, position] of [
      [0, 0, 4096, 0],
      [0, 0, 1, 8191],
      [512, 100, 3000, 4097],
      [8, 0, 17, 1],
    ] as const) {
      new Uint8Array(memory).fill(0xee);
      expect(read(fd, new Uint8Array(memory, viewAt, 4096), offset, length, position)).toBe(length);
      const expected = new Uint8Array(memory.byteLength).fill(0xee);
      expected.set(bytes.subarray(position, position + length), viewAt + offset);
      expect(Buffer.compare(new Uint8Array(memory), expected)).toBe(0);
    }
    expect(calls).toEqual({ count: 4, loads: 1 });
    fs.closeSync(fd);
  });

  it('fill arrays so small that they lie in the heap', () => {
    const { fd, bytes } = newFile(64);
    const { read } = counted(call);
    for (let round = 0; round < 100; round++) {
      const into = new Uint8Array(8);
      expect(read(fd, into, 0, 8, round % 50)).toBe(8);
      expect(into).toEqual(bytes.slice(round % 50, (round % 50) + 8));
    }
    fs.closeSync(fd);
  });

  it('are short at the end of the file, and read nothing after it', () => {
    const { fd } = newFile(5000);
    const { read } = counted(call);
    const into = new Uint8Array(4096);
    read(fd, into, 0, 1, 0);
    expect([read(fd, into, 0, 4096, 4096), read(fd, into, 0, 4096, 5000), read(fd, into, 0, 0, 0)]).toEqual([
      904, 0, 0,
    ]);
    fs.closeSync(fd);
  });

  it('use fs.readSync when they are long, and throw its errors', () => {
    const { fd } = newFile(SMALL_READ_BYTES_MAX + 1);
    const { calls, read } = counted(call);
    const into = new Uint8Array(SMALL_READ_BYTES_MAX + 1);
    read(fd, into, 0, 1, 0);
    expect(read(fd, into, 0, SMALL_READ_BYTES_MAX + 1, 0)).toBe(SMALL_READ_BYTES_MAX + 1);
    expect(() => read(fd, into, into.length - 10, 11, 0)).toThrow(
      expect.objectContaining({ code: 'ERR_OUT_OF_RANGE' }),
    );
    expect(calls.count).toBe(0);
    fs.closeSync(fd);
    expect(() => read(fd, into, 0, 1, 0)).toThrow(expect.objectContaining({ code: 'EBADF', syscall: 'read' }));
  });

  it('are used by a file device, which reports a truncated file', async () => {
    const path = newPath();
    const readSync = smallReadsBy(loadPread, 1);
    const device = FileDevice.open({ path, create: true, sizeBytes: SIZE }, { ...nodeFileSystem, readSync });
    const channel = device.openChannel();
    const page = new Uint8Array(4096).fill(9);
    await channel.write(page, 0, 3, 1);
    const into = new Uint8Array(3 * 4096).fill(1);
    for (let round = 0; round < 2; round++) await channel.read(into, 0, 2, 3);
    expect([0, 4096, 8192].map((at) => into[at])).toEqual([0, 9, 0]);
    fs.truncateSync(path, 3 * 4096 + 100);
    await failure('EIO', () => channel.read(into, 0, 3, 1));
    await device.close();
  });
});

describe('small reads without koffi', () => {
  it('look for it once, and use fs.readSync', () => {
    const { fd, bytes } = newFile(4096);
    let loads = 0;
    const read = smallReadsBy(() => {
      loads++;
      return undefined;
    }, 3);
    for (let round = 0; round < 10; round++) {
      const into = new Uint8Array(100);
      expect(read(fd, into, 0, 100, round)).toBe(100);
      expect(into).toEqual(bytes.slice(round, round + 100));
    }
    expect(loads).toBe(1);
    fs.closeSync(fd);
  });

  it('are repeated by fs.readSync when pread fails', () => {
    const { fd, bytes } = newFile(4096);
    const { calls, read } = counted(() => -1);
    const into = new Uint8Array(16);
    read(fd, into, 0, 16, 0);
    expect(read(fd, into, 0, 16, 5)).toBe(16);
    expect(into).toEqual(bytes.slice(5, 21));
    expect(calls.count).toBe(1);
    fs.closeSync(fd);
  });
});
