/** The devices of the package pass the suite for devices, `deviceSuite`. */

import { rmSync } from 'node:fs';
import { BlobstoreError } from '@blobyard/core';
import {
  asyncDevice,
  deviceSuite,
  FaultyDevice,
  FileDevice,
  type FileDeviceOptions,
  MemoryDevice,
  nodeFileSystem,
  OverlayDevice,
  SparseMemoryDevice,
} from '@blobyard/io';
import { loadMmap } from '@blobyard/io/internal/mapped-file';
import { loadPread, smallReadsBy } from '@blobyard/io/internal/small-reads';
import { describe, expect, it } from 'vitest';
import { shuffled } from '../random.js';
import { newPath } from './temp-folder.js';

const api = { describe, expect, it };
const MIB = 1024 * 1024;

for (const blockLengthBytes of [512, 4096, 8192]) {
  const sizeBytes = 128 * blockLengthBytes;
  const name = `of ${blockLengthBytes}-byte blocks`;
  deviceSuite(`memory ${name}`, () => ({ device: MemoryDevice.create({ sizeBytes, blockLengthBytes }) }), api);
  deviceSuite(
    `sparse memory ${name}`,
    () => ({ device: new SparseMemoryDevice({ sizeBytes, blockLengthBytes }) }),
    api,
  );
}

deviceSuite(
  'memory of odd blocks',
  () => ({ device: MemoryDevice.create({ sizeBytes: 650 * 65, blockLengthBytes: 650 }) }),
  api,
);
deviceSuite(
  'sparse memory of 64 TiB',
  () => ({ device: new SparseMemoryDevice({ sizeBytes: 64 * MIB * MIB, blockLengthBytes: 4096 }) }),
  api,
);
deviceSuite('memory without copy', () => ({ device: MemoryDevice.create({ sizeBytes: MIB, canCopy: false }) }), api);

for (const blockLengthBytes of [512, 4096]) {
  for (const mode of ['sync', 'async'] as const) fileSuite({ blockLengthBytes, mode });
  const readSync = smallReadsBy(loadPread, 1);
  fileSuite({ blockLengthBytes, mode: 'sync' }, { ...nodeFileSystem, readSync }, ', small reads by pread');
}

if (loadMmap() !== undefined) {
  for (const blockLengthBytes of [512, 4096])
    fileSuite({ blockLengthBytes, mode: 'sync', mmap: true }, nodeFileSystem, ', mapped');
}

for (const mode of ['sync', 'async'] as const) {
  const refusal = await directRefusal();
  if (refusal === undefined) fileSuite({ blockLengthBytes: 4096, mode, direct: true });
  else it(`file, direct, ${mode}`, (context) => context.skip(refusal));
}

deviceSuite('faulty without faults', () => ({ device: new FaultyDevice(memory()) }), api);
deviceSuite(
  'faulty without faults, asynchronous',
  () => ({ device: new FaultyDevice(memory(), { asynchronous: true }) }),
  api,
);
deviceSuite('asynchronous by microtasks', () => ({ device: asyncDevice(memory(), { when: 'microtask' }) }), api);
deviceSuite('asynchronous by macrotasks', () => ({ device: asyncDevice(memory()) }), api);
deviceSuite('asynchronous, shuffled', () => ({ device: asyncDevice(memory(), shuffled(7)) }), api);

deviceSuite('overlay', () => ({ device: new OverlayDevice(memory()) }), api);
deviceSuite('overlay, asynchronous', () => ({ device: new OverlayDevice(asyncDevice(memory())) }), api);
deviceSuite(
  'overlay of 512-byte blocks',
  () => ({ device: new OverlayDevice(MemoryDevice.create({ sizeBytes: MIB, blockLengthBytes: 512 })) }),
  api,
);

function memory(): MemoryDevice {
  return MemoryDevice.create({ sizeBytes: MIB });
}

function fileSuite(options: Partial<FileDeviceOptions>, system = nodeFileSystem, suffix = ''): void {
  const { blockLengthBytes, mode, direct } = options;
  deviceSuite(
    `file of ${blockLengthBytes}-byte blocks, ${mode}${direct ? ', direct' : ''}${suffix}`,
    () => {
      const path = newPath();
      const device = FileDevice.open({ ...options, path, create: true, sizeBytes: 4 * MIB }, system);
      return { device, dispose: () => rmSync(path) };
    },
    api,
  );
}

/** Why the folder for temporary files does not support direct I/O; undefined if it does. */
async function directRefusal(): Promise<string | undefined> {
  const path = newPath();
  try {
    await FileDevice.open({ path, create: true, sizeBytes: MIB, direct: true }).close();
    rmSync(path);
    return undefined;
  } catch (error) {
    if (error instanceof BlobstoreError && ['ENOTSUP', 'EINVAL'].includes(error.code)) return error.message;
    throw error;
  }
}
