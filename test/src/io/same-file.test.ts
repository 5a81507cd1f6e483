/**
 * A device that is opened by the spec of another one is on the same file, even if the path leads to another file now.
 */

import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { FileDevice, type FileSystem, nodeFileSystem, openDevice } from '@blobyard/io';
import { describe, expect, it } from 'vitest';
import { failure } from './failure.js';
import { newPath } from './temp-folder.js';

const SIZE = 8192;

async function newDevice(byte: number): Promise<FileDevice> {
  const device = FileDevice.open({ path: newPath(), create: true, sizeBytes: SIZE });
  await device.openChannel().write(new Uint8Array(SIZE).fill(byte), 0, 0, 2);
  return device;
}

/** Moves a file away, and makes another one with other bytes at its path. */
function replace(path: string): void {
  fs.renameSync(path, `${path}.moved`);
  fs.writeFileSync(path, new Uint8Array(SIZE).fill(99));
}

async function byteOf(spec: FileDevice['spec']): Promise<number> {
  const device = await openDevice(structuredClone(spec));
  const bytes = new Uint8Array(4096);
  await device.openChannel().read(bytes, 0, 0, 1);
  await device.close();
  return bytes[0];
}

describe("a device by another one's spec", () => {
  it('is the same file by its path', async () => {
    const device = await newDevice(1);
    expect(await byteOf(device.spec)).toBe(1);
    expect(FileDevice.open(device.spec).identity).toBe(device.identity);
  });

  it('is the same file after that was renamed, replaced or deleted', async () => {
    const [renamed, replaced, deleted] = await Promise.all([1, 2, 3].map(newDevice));
    fs.renameSync(renamed.spec.path, `${renamed.spec.path}.moved`);
    replace(replaced.spec.path);
    fs.unlinkSync(deleted.spec.path);
    expect(await Promise.all([renamed, replaced, deleted].map(({ spec }) => byteOf(spec)))).toEqual([1, 2, 3]);
  });

  it('is the same file when its path leads to a pipe', async () => {
    const device = await newDevice(1);
    const { path } = device.spec;
    fs.unlinkSync(path);
    execFileSync('mkfifo', [path]);
    expect(await byteOf({ ...device.spec, readOnly: true })).toBe(1);
  });

  it('fails when the file cannot be reached any more, and does not change the other file', async () => {
    const device = await newDevice(1);
    const { spec } = device;
    replace(spec.path);
    await device.close();
    const { message } = await failure('ENOENT', () => openDevice(spec));
    expect(message).toContain(`${spec.path} is another file by now`);
    // Probably this file gets the descriptor of the closed one.
    const other = FileDevice.open({ path: newPath(), create: true, sizeBytes: SIZE });
    await failure('ENOENT', () =>
      openDevice({ ...spec, sameAs: { ...nonNull(spec.sameAs), descriptor: other.descriptor } }),
    );
    await other.close();
  });

  it('fails when the path is replaced between check and opening', async () => {
    const device = await newDevice(1);
    const { spec } = device;
    const opened: number[] = [];
    const fsThatIsLate: FileSystem = {
      ...nodeFileSystem,
      openSync: ((path: string, flags: number) => {
        if (opened.length === 0) replace(spec.path);
        opened.push(fs.openSync(path, flags));
        return opened.at(-1);
      }) as FileSystem['openSync'],
    };
    const same = FileDevice.open(spec, fsThatIsLate);
    expect(opened.length).toBe(2); // the wrong file, which was closed again, and then the right one by its descriptor
    expect(same.identity).toBe(device.identity);
    await device.close();
    await same.close();
  });

  it('is the created file, when its path is replaced during creation', async () => {
    const path = newPath();
    const fsThatIsLate: FileSystem = {
      ...nodeFileSystem,
      fsyncSync: (fd) => {
        if (fs.fstatSync(fd).isDirectory()) replace(path);
        else fs.fsyncSync(fd);
      },
    };
    const device = FileDevice.open({ path, create: true, sizeBytes: SIZE }, fsThatIsLate);
    await device.openChannel().write(new Uint8Array(4096).fill(7), 0, 0, 1);
    await device.close();
    expect(fs.readFileSync(`${path}.moved`)[0]).toBe(7);
    expect(fs.readFileSync(path)[0]).toBe(99);
  });

  it.each([
    [{ identity: '', descriptor: 1 }],
    [{ identity: '1:2:3', descriptor: -1 }],
    [{ identity: '1:2:3' }],
    ['1:2:3'],
    [null],
  ])('refuses sameAs %j', async (sameAs) => {
    const { path } = (await newDevice(1)).spec;
    await failure('EINVAL', () => openDevice({ kind: 'file', path, sameAs } as never));
  });

  it('is not created again', async () => {
    const { sameAs } = (await newDevice(1)).spec;
    await failure('EINVAL', () => FileDevice.open({ path: newPath(), create: true, sizeBytes: SIZE, sameAs }));
  });
});

function nonNull<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('there is none');
  return value;
}
