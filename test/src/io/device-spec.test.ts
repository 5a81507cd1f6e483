/** Opening devices by their specs, and the specs by which other threads open a device. */

import { writeFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { FileDevice, MemoryDevice, openDevice, SparseMemoryDevice, sharedSpec } from '@blobyard/io';
import { describe, expect, it } from 'vitest';
import { failure } from './failure.js';
import { newPath } from './temp-folder.js';

const open = (spec: unknown) => openDevice(spec as Parameters<typeof openDevice>[0]);

describe('openDevice', () => {
  it('opens every kind, from a spec that has been cloned', async () => {
    const path = newPath();
    const specs = [
      { kind: 'memory', sizeBytes: 8192 },
      { kind: 'sparse-memory', sizeBytes: 8192, blockLengthBytes: 512 },
      { kind: 'file', path, create: true, sizeBytes: 8192 },
      { kind: 'file', path, blockLengthBytes: 512, readOnly: true },
    ];
    const devices = [];
    for (const spec of specs) devices.push(await open(structuredClone(spec)));
    expect(devices.map((device) => device.constructor)).toEqual([
      MemoryDevice,
      SparseMemoryDevice,
      FileDevice,
      FileDevice,
    ]);
    expect(devices.map((device) => device.blockCount)).toEqual([2, 16, 2, 16]);
    for (const device of devices) await device.close();
  });

  it('opens a device that a module of the user implements', async () => {
    const module = `${newPath()}.mjs`;
    writeFileSync(
      module,
      `export async function openDevice({ blockCount }) {
        return { blockLengthBytes: 512, blockCount, synchronous: true, canCopy: false, openChannel() {}, close() {} };
      }`,
    );
    for (const address of [module, pathToFileURL(module).href]) {
      const device = await open({ kind: 'custom', module: address, options: { blockCount: 7 } });
      expect(device.blockCount).toBe(7);
    }
  });

  it.each([
    ['export const nothing = 1', 'no function openDevice'],
    ['export const openDevice = () => ({ blockCount: 3 })', 'a BlockDevice'],
  ])('refuses the module "%s"', async (text, message) => {
    const error = await failure('EINVAL', () =>
      open({ kind: 'custom', module: `data:text/javascript,${encodeURIComponent(text)}` }),
    );
    expect(error.message).toContain(message);
  });

  it('passes the error of a module on to the caller', async () => {
    const text = "export const openDevice = () => { throw new Error('no such thing') }";
    const module = `data:text/javascript,${encodeURIComponent(text)}`;
    expect((await failure('EIO', () => open({ kind: 'custom', module }))).message).toContain('no such thing');
    await failure('ENOENT', () => open({ kind: 'custom', module: `${newPath()}.mjs` }));
  });

  const path = newPath();
  it.each([
    [undefined, 'an object with a kind'],
    ['memory', 'an object with a kind'],
    [{}, "'memory', 'sparse-memory', 'file' or 'custom'"],
    [{ kind: 'tape' }, "is 'tape'"],
    [{ kind: 'memory' }, 'sizeBytes is undefined'],
    [{ kind: 'memory', sizeBytes: '4096' }, "sizeBytes is '4096'"],
    [{ kind: 'memory', sizeBytes: 4096.5 }, 'a whole number'],
    [{ kind: 'memory', sizeBytes: 5000 }, 'such as 8192'],
    [{ kind: 'memory', sizeBytes: 4096, blocklength: 512 }, "no option 'blocklength'"],
    [{ kind: 'memory', sizeBytes: 4096, canCopy: 'yes' }, 'true or false'],
    [{ kind: 'memory', memory: {} }, 'a shared WebAssembly.Memory'],
    [{ kind: 'memory', memory: 1, sizeBytes: 4096 }, "no option 'sizeBytes'"],
    [{ kind: 'sparse-memory', sizeBytes: Number.NaN }, 'sizeBytes is NaN'],
    [{ kind: 'sparse-memory', sizeBytes: 2 ** 60 }, 'a whole number'],
    [{ kind: 'file' }, 'path is undefined'],
    [{ kind: 'file', path: '' }, 'not empty'],
    [{ kind: 'file', path, create: true }, 'sizeBytes is undefined'],
    [{ kind: 'file', path, create: true, sizeBytes: -1 }, 'sizeBytes is -1'],
    [{ kind: 'file', path, create: true, sizeBytes: 4096, readOnly: true }, 'readOnly is true'],
    [{ kind: 'file', path, sizeBytes: 4096 }, 'create: true'],
    [{ kind: 'file', path, readonly: true }, "no option 'readonly'"],
    [{ kind: 'sparse-memory', sizeBytes: 4096, arenaBytes: 0 }, "no option 'arenaBytes'"],
    [{ kind: 'custom', module: path, option: 1 }, "no option 'option'"],
    [{ kind: 'file', path, blockLengthBytes: 1000 }, 'a power of two'],
    [{ kind: 'file', path, blockLengthBytes: 256 }, 'from 512 to 65536'],
    [{ kind: 'file', path, mode: 'fast' }, "'sync' or 'async'"],
    [{ kind: 'file', path, direct: 1 }, 'true or false'],
    [{ kind: 'custom', module: './mine.js' }, 'an absolute path or a URL'],
    [{ kind: 'custom' }, 'module is undefined'],
  ])('refuses %j', async (spec, message) => {
    expect((await failure('EINVAL', () => open(spec))).message).toContain(message);
  });
});

describe('sharedSpec', () => {
  it('opens the same device again, and does not create it', async () => {
    const path = newPath();
    const specs = [
      { kind: 'memory', sizeBytes: 8192 },
      { kind: 'file', path, create: true, sizeBytes: 8192, mode: 'async' },
    ] as const;
    for (const spec of specs) {
      const device = await openDevice(spec);
      const again = await openDevice(sharedSpec(spec, device));
      await device.openChannel().write(new Uint8Array(4096).fill(5), 0, 1, 1);
      const back = new Uint8Array(4096);
      await again.openChannel().read(back, 0, 1, 1);
      expect(back[4095]).toBe(5);
      expect(again.synchronous).toBe(device.synchronous);
      await device.close();
      await again.close();
    }
  });

  it('fails with ENOTSUP for devices that cannot be shared', async () => {
    const spec = { kind: 'sparse-memory', sizeBytes: 4096 } as const;
    const device = await openDevice(spec);
    await failure('ENOTSUP', () => sharedSpec(spec, device));
  });
});
