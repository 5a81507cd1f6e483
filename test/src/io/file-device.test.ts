/** The device on a file: the file itself, holes, short transfers, failures, direct I/O. */

import fs from 'node:fs';
import { allocateAligned, FileDevice, type FileSystem, nodeFileSystem } from '@blobyard/io';
import { probeSizeBytes } from '@blobyard/io/internal/medium-size';
import { describe, expect, it } from 'vitest';
import { failure } from './failure.js';
import { newPath } from './temp-folder.js';

const KIB = 1024;
const SIZE = 256 * KIB;
const modes = ['sync', 'async'] as const;

/** A new device, its channel and the path of its file. `calls` replace system calls of the device. */
function make(options: Partial<Parameters<typeof FileDevice.open>[0]> = {}, calls: Partial<FileSystem> = {}) {
  const path = newPath();
  const device = FileDevice.open({ path, create: true, sizeBytes: SIZE, ...options }, { ...nodeFileSystem, ...calls });
  return { path, device, channel: device.openChannel() };
}

function systemError(code: string): Error {
  return Object.assign(new Error(`${code}: as the test asked`), { code });
}

function failing(code: string): never {
  throw systemError(code);
}

describe('the file of a FileDevice', () => {
  it('is created sparse with the given size, and an existing file is refused', async () => {
    const { path, device } = make({ sizeBytes: 1024 * SIZE });
    const stats = fs.statSync(path);
    expect([stats.size, stats.blocks]).toEqual([1024 * SIZE, 0]);
    expect(device.blockCount).toBe((1024 * SIZE) / 4096);
    await failure('EEXIST', () => FileDevice.open({ path, create: true, sizeBytes: SIZE }));
    expect(fs.statSync(path).size).toBe(1024 * SIZE);
    await device.close();
  });

  it('is durable after its creation, and so is its name', async () => {
    const flushed: boolean[] = [];
    const fsyncSync = (fd: number) => {
      flushed.push(fs.fstatSync(fd).isDirectory());
      fs.fsyncSync(fd);
    };
    const { device } = make({}, { fsyncSync });
    expect(flushed).toEqual([false, true]);
    await device.close();
  });

  it('must exist, and be a file or a block device', async () => {
    await failure('ENOENT', () => FileDevice.open({ path: newPath() }));
    await failure('EINVAL', () => FileDevice.open({ path: import.meta.dirname }));
    await failure('EINVAL', () => FileDevice.open({ path: '/dev/null' }));
    await failure('ENOENT', () => FileDevice.open({ path: `${newPath()}/x`, create: true, sizeBytes: SIZE }));
  });

  it('is not left behind when creating it fails', async () => {
    const path = newPath();
    const full: FileSystem = { ...nodeFileSystem, ftruncateSync: () => failing('EFBIG') };
    await failure('ENOSPC', () => FileDevice.open({ path, create: true, sizeBytes: SIZE }, full));
    expect(fs.existsSync(path)).toBe(false);
  });

  it('may end with a partial block, which is not used', async () => {
    const path = newPath();
    fs.writeFileSync(path, new Uint8Array(4096 + 600));
    const counts = [4096, 512].map((blockLengthBytes) => FileDevice.open({ path, blockLengthBytes }).blockCount);
    expect(counts).toEqual([1, 9]);
    fs.appendFileSync(path, new Uint8Array(100).fill(1));
    const device = FileDevice.open({ path });
    device.resize(3);
    expect(Buffer.compare(fs.readFileSync(path), new Uint8Array(3 * 4096))).toBe(0);
    await device.close();
  });

  it('cannot be written if it is opened for reading', async () => {
    const { path, device } = make();
    const reader = FileDevice.open({ path, readOnly: true });
    const channel = reader.openChannel();
    const block = new Uint8Array(4096);
    await channel.read(block, 0, 0, 1);
    await channel.flush();
    await failure('EPERM', () => channel.write(block, 0, 0, 1));
    await failure('EPERM', () => channel.writev([block], 0, 1));
    await failure('EPERM', () => channel.unmap(0, 1));
    await failure('EPERM', () => channel.writeZeroes(0, 1));
    await failure('EPERM', () => reader.resize(1));
    await device.close();
  });

  it('may grow and shrink, and refresh() returns the new size', async () => {
    const { path, device, channel } = make();
    fs.truncateSync(path, 2 * SIZE);
    expect(device.blockCount).toBe(64);
    device.refresh();
    expect(device.blockCount).toBe(128);
    await channel.write(new Uint8Array(4096), 0, 127, 1);
    fs.truncateSync(path, 4096);
    device.refresh();
    await failure('EIO', () => channel.read(new Uint8Array(4096), 0, 1, 1));
  });

  it.each(modes)('fails reads after it was truncated (%s)', async (mode) => {
    const { path, channel } = make({ mode });
    fs.truncateSync(path, 10_000);
    const buffer = new Uint8Array(3 * 4096);
    await channel.read(buffer, 0, 0, 2);
    const error = await failure('EIO', () => channel.read(buffer, 0, 1, 3));
    expect(error.message).toMatch(/after 5904 bytes: it was truncated/);
    await failure('EIO', () => channel.readv([buffer.subarray(0, 100), buffer.subarray(100, 4096)], 50, 1));
  });

  it.each(modes)('fails every flush after it was truncated (%s)', async (mode) => {
    const { path, channel } = make({ mode });
    fs.truncateSync(path, SIZE - 1);
    const error = await failure('EIO', () => channel.flush());
    expect(error.message).toMatch(/truncated while it was open, from 262144 bytes to 262143; the data beyond is lost/);
    await failure('EIO', () => channel.flush());
    fs.truncateSync(path, SIZE);
    await channel.flush();
  });

  it.each(modes)('is not extended by a write when it is known to be truncated (%s)', async (mode) => {
    const { path, channel } = make({ mode });
    const block = new Uint8Array(4096).fill(1);
    fs.truncateSync(path, 8192);
    await failure('EIO', () => channel.read(block, 0, 2, 1));
    await failure('EIO', () => channel.write(block, 0, 9, 1));
    await failure('EIO', () => channel.writev([block], 2, 1));
    await channel.write(block, 0, 1, 1); // within the truncated file
    expect(fs.statSync(path).size).toBe(8192);
    fs.truncateSync(path, SIZE);
    await channel.write(block, 0, 9, 1);
    fs.truncateSync(path, 8192);
    await channel.write(block, 0, 3, 1); // the truncation is not known yet
    expect(fs.statSync(path).size).toBe(4 * 4096);
  });
});

describe('holes', () => {
  it.each(modes)('are made by unmap and writeZeroes (%s)', async (mode) => {
    const { path, device, channel } = make({ mode, blockLengthBytes: 512 });
    await channel.write(new Uint8Array(SIZE).fill(1), 0, 0, 512);
    await channel.flush();
    const full = fs.statSync(path).blocks;
    expect(full).toBeGreaterThanOrEqual(SIZE / 512);
    await channel.unmap(8, 128);
    expect(full - fs.statSync(path).blocks).toBe(128);
    await channel.writeZeroes(256, 128);
    expect(full - fs.statSync(path).blocks).toBe(256);
    await channel.unmap(3, 2); // less than a block of the file system
    expect(fs.statSync(path).size).toBe(SIZE);
    const expected = new Uint8Array(SIZE).fill(1).fill(0, 4096, 69632).fill(0, 131072, 196608).fill(0, 1536, 2560);
    expect(Buffer.compare(fs.readFileSync(path), expected)).toBe(0);
    await device.close();
  });

  it.each(modes)('are replaced by zeroes if not supported, and tried only once (%s)', async (mode) => {
    let asked = 0;
    const refuse = () => {
      asked++;
      return failing('ENOTSUP');
    };
    const { path, device, channel } = make(
      { mode, sizeBytes: 3 * 1024 * KIB },
      { trimSync: refuse, trim: async () => refuse() },
    );
    await channel.write(new Uint8Array(3 * 1024 * KIB).fill(1), 0, 0, 768);
    await channel.unmap(1, 600);
    await channel.writeZeroes(700, 1);
    expect(asked).toBe(1);
    const expected = new Uint8Array(3 * 1024 * KIB)
      .fill(1)
      .fill(0, 4096, 601 * 4096)
      .fill(0, 700 * 4096, 701 * 4096);
    expect(Buffer.compare(fs.readFileSync(path), expected)).toBe(0);
    await device.close();
  });

  it.each(modes)(
    'that one range does not support are replaced by zeroes in this range; other errors are thrown (%s)',
    async (mode) => {
      const codes = ['EINVAL', 'EINTR', undefined, 'EIO'];
      const trim = (fd: number, position: number, length: number) => {
        const code = codes.shift();
        if (code !== undefined) failing(code);
        nodeFileSystem.trimSync(fd, position, length);
      };
      const { path, device, channel } = make({ mode }, { trimSync: trim, trim: async (...range) => trim(...range) });
      await channel.write(new Uint8Array(SIZE).fill(1), 0, 0, 64);
      await channel.unmap(0, 16);
      const after = fs.statSync(path).blocks;
      await channel.unmap(16, 16);
      expect(after - fs.statSync(path).blocks).toBe(128);
      await failure('EIO', () => channel.unmap(32, 16));
      expect(codes).toEqual([]);
      expect(Buffer.compare(fs.readFileSync(path), new Uint8Array(SIZE).fill(1).fill(0, 0, SIZE / 2))).toBe(0);
      await device.close();
    },
  );
});

describe('a system that moves fewer bytes than asked', () => {
  /** System calls that move at most 1000 bytes, and every third time none. */
  function stingy(): Partial<FileSystem> {
    let calls = 0;
    const next = () => {
      calls++;
      return calls % 3 === 0 ? failing(calls % 2 === 0 ? 'EINTR' : 'EAGAIN') : undefined;
    };
    const cut = (list: readonly NodeJS.ArrayBufferView[]) => {
      const first = list.find((view) => view.byteLength > 0) as Uint8Array;
      return [first.subarray(0, 1000)];
    };
    const calling = (call: () => number, settle: (error: Error | null, moved: number) => void) => {
      let moved = 0;
      try {
        next();
        moved = call();
      } catch (error) {
        return void setImmediate(() => settle(error as Error, 0));
      }
      return void setImmediate(() => settle(null, moved));
    };
    type Any = (...args: never[]) => unknown;
    const stubs: Record<string, Any> = {
      readSync: (fd: number, buffer: Uint8Array, offset: number, length: number, position: number) =>
        next() ?? fs.readSync(fd, buffer, offset, Math.min(length, 1000), position),
      writeSync: (fd: number, buffer: Uint8Array, offset: number, length: number, position: number) =>
        next() ?? fs.writeSync(fd, buffer, offset, Math.min(length, 1000), position),
      readvSync: (fd: number, list: Uint8Array[], position: number) => next() ?? fs.readvSync(fd, cut(list), position),
      writevSync: (fd: number, list: Uint8Array[], position: number) =>
        next() ?? fs.writevSync(fd, cut(list), position),
      read: (fd: number, buffer: Uint8Array, offset: number, length: number, position: number, settle: never) =>
        calling(() => fs.readSync(fd, buffer, offset, Math.min(length, 1000), position), settle),
      write: (fd: number, buffer: Uint8Array, offset: number, length: number, position: number, settle: never) =>
        calling(() => fs.writeSync(fd, buffer, offset, Math.min(length, 1000), position), settle),
      readv: (fd: number, list: Uint8Array[], position: number, settle: never) =>
        calling(() => fs.readvSync(fd, cut(list), position), settle),
      writev: (fd: number, list: Uint8Array[], position: number, settle: never) =>
        calling(() => fs.writevSync(fd, cut(list), position), settle),
      fdatasyncSync: (fd: number) => next() ?? fs.fdatasyncSync(fd),
    };
    return stubs as Partial<FileSystem>;
  }

  it.each(modes)('is called until all bytes have moved (%s)', async (mode) => {
    const blocks = 300; // they need more calls than are allowed without progress
    const { path, device, channel } = make({ mode, sizeBytes: 1024 * 4096 }, stingy());
    const content = new Uint8Array(blocks * 4096).map((_, index) => index % 253);
    await channel.write(content, 0, 1, blocks);
    await channel.writev([content.subarray(0, 1), content.subarray(1, 5000), content.subarray(5000)], 500, blocks);
    await channel.flush();
    const file = fs.readFileSync(path);
    expect(file.subarray(4096, (blocks + 1) * 4096).equals(content)).toBe(true);
    expect(file.subarray(500 * 4096, (blocks + 500) * 4096).equals(content)).toBe(true);
    const back = new Uint8Array(content.byteLength);
    await channel.read(back, 0, 500, blocks);
    expect(Buffer.compare(back, content)).toBe(0);
    back.fill(0);
    await channel.readv([back.subarray(0, 7), back.subarray(7, 7), back.subarray(7)], 1, blocks);
    expect(Buffer.compare(back, content)).toBe(0);
    await device.close();
  });

  it.each(modes)('causes an error if no byte ever moves (%s)', async (mode) => {
    const again = { readSync: () => failing('EAGAIN'), writeSync: () => 0 };
    const later = {
      read: (...args: unknown[]) => (args.at(-1) as (e: Error) => void)(systemError('EAGAIN')),
      write: (...args: unknown[]) => (args.at(-1) as (e: null, moved: number) => void)(null, 0),
    };
    const { channel } = make({ mode }, { ...again, ...later } as unknown as Partial<FileSystem>);
    await failure('EIO', () => channel.read(new Uint8Array(4096), 0, 0, 1));
    expect((await failure('EIO', () => channel.write(new Uint8Array(4096), 0, 0, 1))).message).toContain(
      'the system writes nothing',
    );
  });
});

describe('failures of the medium', () => {
  it.each([
    ['EIO', 'EIO'],
    ['ENOSPC', 'ENOSPC'],
    ['EDQUOT', 'ENOSPC'],
    ['EFBIG', 'ENOSPC'],
    ['EROFS', 'EIO'],
  ])('%s at a write is reported as %s, and the message says what was being done', async (code, expected) => {
    const { path, channel } = make({}, { writeSync: () => failing(code) });
    const error = await failure(expected, () => channel.write(new Uint8Array(4096), 0, 3, 1));
    expect(error.message).toContain(`write at byte 12288 of ${path}`);
    expect((error.cause as NodeJS.ErrnoException).code).toBe(code);
  });

  it.each(modes)('make every later flush fail, because writes may be lost (%s)', async (mode) => {
    let failures = 1;
    const flush = (fd: number) => (failures-- > 0 ? failing('EIO') : fs.fdatasyncSync(fd));
    const later = (fd: number, settle: (error: Error | null) => void) => {
      if (failures-- > 0) setImmediate(() => settle(systemError('EIO')));
      else fs.fdatasync(fd, settle);
    };
    const calls = { fdatasyncSync: flush, fdatasync: later } as unknown as Partial<FileSystem>;
    const { device, channel } = make({ mode }, calls);
    const errors = [await failure('EIO', () => channel.flush()), await failure('EIO', () => channel.flush())];
    expect(errors[1].message).toContain('close the device, and open it again');
    await device.close();
  });
});

describe('closing', () => {
  it('waits for operations in flight, so that their descriptor is not used for another file', async () => {
    const order: string[] = [];
    let release = (): void => failing('EINVAL');
    const calls = {
      write: (...args: Parameters<typeof fs.write>) => {
        release = () => {
          order.push('written');
          fs.write(...args);
        };
      },
      closeSync: (fd: number) => {
        order.push('closed');
        fs.closeSync(fd);
      },
    } as unknown as Partial<FileSystem>;
    const { device, channel } = make({ mode: 'async' }, calls);
    order.length = 0;
    const written = channel.write(new Uint8Array(4096), 0, 0, 1);
    const closed = device.close();
    await failure('EBADF', () => channel.read(new Uint8Array(4096), 0, 0, 1));
    release();
    await Promise.all([written, closed, device.close()]);
    expect(order).toEqual(['written', 'closed']);
  });
});

describe('direct I/O', () => {
  it.each(modes)('uses aligned buffers in place, and others through a bounce buffer (%s)', async (mode) => {
    const seen: Uint8Array[] = [];
    const calls: Partial<FileSystem> = {
      readSync: ((fd: number, buffer: Uint8Array, ...rest: [number, number, number]) => {
        seen.push(buffer);
        return fs.readSync(fd, buffer, ...rest);
      }) as FileSystem['readSync'],
      read: ((fd: number, buffer: Uint8Array, ...rest: [number, number, number, () => void]) => {
        seen.push(buffer);
        fs.read(fd, buffer, ...rest);
      }) as unknown as FileSystem['read'],
    };
    // Opened without O_DIRECT, to run on every file system: the test checks which buffer the system call gets.
    const openSync = ((path: string, flags: number, fileMode?: number) =>
      fs.openSync(path, flags & ~fs.constants.O_DIRECT, fileMode)) as FileSystem['openSync'];
    const { device, channel } = make({ mode, direct: true, sizeBytes: 3 * 1024 * KIB }, { ...calls, openSync });
    seen.length = 0;
    const aligned = allocateAligned(8192);
    await channel.read(aligned, 512, 0, 1);
    expect(seen[0]).toBe(aligned);
    for (const [buffer, offset] of [
      [aligned, 100],
      [new Uint8Array(8192), 0],
      [new Uint8Array(new SharedArrayBuffer(8192)), 0],
    ] as const) {
      await channel.read(buffer, offset, 0, 1);
      expect(seen.at(-1)?.buffer).not.toBe(buffer.buffer);
    }
    const content = new Uint8Array(3 * 1024 * KIB).map((_, index) => index % 249);
    await channel.write(content, 0, 0, 768);
    const back = new Uint8Array(content.byteLength + 1).subarray(1);
    await channel.read(back, 0, 0, 768);
    expect(Buffer.compare(back, content)).toBe(0);
    await device.close();
  });

  it('fails with ENOTSUP where it is not supported', async () => {
    const openSync = ((path: string, flags: number, mode?: number) =>
      flags & fs.constants.O_DIRECT ? failing('EINVAL') : fs.openSync(path, flags, mode)) as FileSystem['openSync'];
    const error = await failure('ENOTSUP', () => make({ direct: true }, { openSync }));
    expect(error.message).toContain('direct: false');
    const refuse = { readSync: () => failing('EINVAL') };
    const path = newPath();
    const coarse = await failure('EINVAL', () => make({ path, direct: true, blockLengthBytes: 512 }, refuse));
    expect(coarse.message).toContain('a larger blockLengthBytes');
    expect(fs.existsSync(path)).toBe(false);
  });
});

describe('probeSizeBytes', () => {
  it('finds the size of a file by reading', () => {
    const path = newPath();
    const fd = fs.openSync(path, 'w+');
    for (const blocks of [0, 1, 2, 3, 1000, 1023, 1024, 1025, 123_456_789]) {
      fs.ftruncateSync(fd, blocks * 512);
      let reads = 0;
      const found = probeSizeBytes((block) => {
        reads++;
        return fs.readSync(fd, new Uint8Array(512), 0, 512, block * 512) === 512;
      }, 512);
      expect(found).toBe(blocks * 512);
      expect(reads).toBeLessThan(60);
    }
    fs.closeSync(fd);
  });

  it('finds the size of a device that reports 0, and throws the error of a failing read', async () => {
    const path = newPath();
    fs.writeFileSync(path, new Uint8Array(77 * 4096));
    const asBlockDevice = (readSync: FileSystem['readSync']): FileSystem => ({
      ...nodeFileSystem,
      readSync,
      fstatSync: ((fd: number) =>
        Object.assign(fs.fstatSync(fd), {
          size: 0,
          isFile: () => false,
          isBlockDevice: () => true,
        })) as FileSystem['fstatSync'],
      readFileSync: (() => failing('ENOENT')) as FileSystem['readFileSync'],
    });
    const device = FileDevice.open({ path }, asBlockDevice(fs.readSync));
    expect(device.blockCount).toBe(77);
    await failure('ENOTSUP', () => device.resize(1));
    const broken = asBlockDevice((() => failing('EIO')) as FileSystem['readSync']);
    await failure('EIO', () => FileDevice.open({ path }, broken));
  });

  it('uses the size in /sys where there is one', () => {
    const path = newPath();
    fs.writeFileSync(path, new Uint8Array(4096));
    let asked = '';
    const device = FileDevice.open(
      { path, blockLengthBytes: 512 },
      {
        ...nodeFileSystem,
        fstatSync: ((fd: number) =>
          Object.assign(fs.fstatSync(fd), {
            rdev: 0x10_3f05,
            isFile: () => false,
            isBlockDevice: () => true,
          })) as FileSystem['fstatSync'],
        readFileSync: ((file: string) => {
          asked = file;
          return '8\n';
        }) as FileSystem['readFileSync'],
      },
    );
    expect(asked).toBe('/sys/dev/block/63:261/size');
    expect(device.blockCount).toBe(8);
  });
});
