import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { FileDevice, nodeFileSystem } from '@blobyard/io';
import { loadMmap, MappedFile, type Mmap } from '@blobyard/io/internal/mapped-file';
import { OpenFile } from '@blobyard/io/internal/open-file';
import { describe, expect, it } from 'vitest';
import { failure } from './failure.js';
import { newPath } from './temp-folder.js';

const MIB = 1024 * 1024;
const WINDOW = 256 * MIB;
const BLOCK = 4096;
const isTried = process.platform === 'linux' && ['arm64', 'x64'].includes(process.arch);
const mmap = loadMmap();

/** How many parts of a file this process has mapped. */
function mappings(path: string): number {
  return fs.readFileSync('/proc/self/maps', 'utf8').split(path).length - 1;
}

function make(options: Partial<Parameters<typeof FileDevice.open>[0]> = {}) {
  const path = newPath();
  const device = FileDevice.open({ path, create: true, sizeBytes: MIB, mmap: true, ...options });
  return { path, device, channel: device.openChannel() };
}

function bytesOf(length: number, seed = 1): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => (index * 7 + (index >> 8) + seed) & 255);
}

it.runIf(isTried)('koffi loads here', () => expect(mmap).toBeDefined());

describe.runIf(mmap !== undefined)('a mapped file', () => {
  it('is mapped by windows, as they are read, until its device is closed', async () => {
    const { path, device, channel } = make({ sizeBytes: 4 * WINDOW });
    expect(mappings(path)).toBe(1);
    const bytes = bytesOf(2 * BLOCK);
    const lba = (3 * WINDOW) / BLOCK - 1;
    await channel.write(bytes, 0, lba, 2);
    expect(mappings(path)).toBe(1);
    const buffer = new Uint8Array(2 * BLOCK + 3);
    await channel.read(buffer, 3, lba, 2); // across the boundary of two windows, which follow each other in memory or do not
    expect(Buffer.compare(buffer.subarray(3), bytes)).toBe(0);
    expect(mappings(path)).toBeGreaterThan(0);
    await channel.readBytes?.(buffer, 0, 3 * WINDOW - 5, 10);
    expect([...buffer.subarray(0, 10)]).toEqual([...bytes.subarray(BLOCK - 5, BLOCK + 5)]);
    await device.close();
    expect(mappings(path)).toBe(0);
    await failure('EBADF', () => channel.read(buffer, 0, 0, 1));
  });

  it('shows at once what is written, zeroed, and appended, by whomever', async () => {
    const { path, device, channel } = make();
    const other = FileDevice.open({ path });
    const theirs = other.openChannel();
    const buffer = new Uint8Array(BLOCK);
    for (let round = 1; round <= 20; round++) {
      const bytes = bytesOf(BLOCK, round);
      await (round % 2 === 0 ? channel : theirs).write(bytes, 0, round, 1);
      await channel.read(buffer, 0, round, 1);
      expect(Buffer.compare(buffer, bytes)).toBe(0);
    }
    await theirs.unmap?.(3, 2);
    await channel.writeZeroes(7, 1);
    for (const lba of [3, 4, 7]) {
      await channel.read(buffer.fill(1), 0, lba, 1);
      expect(buffer.every((byte) => byte === 0)).toBe(true);
    }
    const end = device.blockCount;
    await failure('EIO', () => channel.read(buffer, 0, end, 1));
    other.resize(2 * end);
    await theirs.write(bytesOf(BLOCK), 0, 2 * end - 1, 1);
    await channel.read(buffer, 0, 2 * end - 1, 1);
    expect(Buffer.compare(buffer, bytesOf(BLOCK))).toBe(0);
    await other.close();
    await device.close();
  });

  it('is read into private and shared memory, and into several buffers', async () => {
    const { device, channel } = make();
    const bytes = bytesOf(3 * BLOCK);
    await channel.write(bytes, 0, 5, 3);
    const buffers = [
      new Uint8Array(1),
      new Uint8Array(new SharedArrayBuffer(2 * BLOCK + 7), 7),
      new Uint8Array(BLOCK - 1),
    ];
    await channel.readv(buffers, 5, 3);
    expect(Buffer.compare(Buffer.concat(buffers), bytes)).toBe(0);
    await failure('EINVAL', () => channel.readv(buffers, 5, 2));
    await failure('EINVAL', () => channel.read(new Uint8Array(10), 0, 5, 1));
    await device.close();
  });

  it('opens again by its spec as a mapped one, also for reading only', async () => {
    const { path, device, channel } = make();
    await channel.write(bytesOf(BLOCK), 0, 0, 1);
    const again = FileDevice.open({ ...device.spec, readOnly: true });
    expect(mappings(path)).toBe(2);
    const buffer = new Uint8Array(BLOCK);
    await again.openChannel().read(buffer, 0, 0, 1);
    expect(Buffer.compare(buffer, bytesOf(BLOCK))).toBe(0);
    await again.close();
    expect(mappings(path)).toBe(1);
    await device.close();
  });

  it('is read by system calls where the system does not map a part of it', async () => {
    const { path, device, channel } = make({ sizeBytes: 2 * WINDOW, mmap: false });
    const bytes = bytesOf(4 * BLOCK);
    await channel.write(bytes, 0, WINDOW / BLOCK - 2, 4);
    let asked = 0;
    const refusing: Mmap = {
      map(fd, position, length) {
        asked++;
        return position === 0 ? mmap?.map(fd, 0, length) : undefined;
      },
    };
    const fd = fs.openSync(path, 'r');
    const file = new OpenFile({ fs: nodeFileSystem, fd, path, blockLengthBytes: BLOCK, direct: false, readOnly: true });
    const mapped = new MappedFile(file, refusing);
    const buffer = new Uint8Array(4 * BLOCK);
    expect(mapped.read(buffer, 0, 4 * BLOCK, WINDOW - 2 * BLOCK)).toBe(2 * BLOCK);
    expect(Buffer.compare(buffer.subarray(0, 2 * BLOCK), bytes.subarray(0, 2 * BLOCK))).toBe(0);
    for (let times = 0; times < 3; times++) expect(mapped.read(buffer, 0, BLOCK, WINDOW)).toBe(0);
    expect(asked).toBe(2); // once for each window
    mapped.unmap();
    await file.close();
    await device.close();
  });

  // The documentation warns of this. Another read would throw EIO.
  it('ends the process when somebody truncates it', () => {
    const path = newPath();
    const program = `
      import fs from 'node:fs';
      import { FileDevice } from '@blobyard/io';
      const path = process.argv[1];
      const device = FileDevice.open({ path, create: true, sizeBytes: 65536, mmap: true });
      fs.truncateSync(path, 0);
      device.openChannel().read(new Uint8Array(4096), 0, 8, 1);
      console.log('it was read');`;
    const { signal, stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', program, path]);
    expect([signal, String(stdout)]).toEqual(['SIGBUS', '']);
  });
});

it('a file is mapped only where that can be', async () => {
  const path = newPath();
  const options = { path, create: true, sizeBytes: MIB, mmap: true } as const;
  await failure('EINVAL', () => FileDevice.open({ ...options, direct: true }));
  await failure('EINVAL', () => FileDevice.open({ ...options, mode: 'async' }));
  await failure('EINVAL', () => FileDevice.open({ ...options, mmap: 1 as unknown as boolean }));
  expect(fs.existsSync(path)).toBe(false);
  fs.writeFileSync(path, new Uint8Array(MIB));
  const file = new OpenFile({
    fs: nodeFileSystem,
    fd: fs.openSync(path, 'r'),
    path,
    blockLengthBytes: BLOCK,
    direct: false,
    readOnly: true,
  });
  const absent = await failure('ENOTSUP', () => new MappedFile(file, undefined));
  expect(absent.message).toMatch(/koffi.*open it without mmap/);
  const refused = await failure('ENOTSUP', () => new MappedFile(file, { map: () => undefined }));
  expect(refused.message).toContain(path);
  await file.close();
});
