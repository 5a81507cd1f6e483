/** Random operations on each kind of device, against a plain array of bytes as the model. */

import type { BlockDevice, DeviceChannel } from '@blobyard/core';
import { FileDevice, isResizable, MemoryDevice, OverlayDevice, SparseMemoryDevice } from '@blobyard/io';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { newPath } from './temp-folder.js';

const BLOCK = 512;
const BLOCKS = 300; // more than two chunks of a sparse device
const SIZE = BLOCK * BLOCKS;

const lba = fc.nat(BLOCKS - 1);
const count = fc.oneof(fc.nat(8), fc.nat(BLOCKS));
const seed = fc.nat(255);
const operation = fc.oneof(
  fc.record({ what: fc.constantFrom('write', 'writev'), lba, count, seed }),
  fc.record({ what: fc.constantFrom('writeZeroes', 'unmap'), lba, count, seed }),
  fc.record({ what: fc.constant('copy'), lba, count, seed, source: lba }),
  fc.record({ what: fc.constant('resize'), lba, count: fc.nat(BLOCKS), seed }),
);
type Operation = { what: string; lba: number; count: number; seed: number; source?: number };

const devices: [string, () => BlockDevice][] = [
  ['memory', () => MemoryDevice.create({ sizeBytes: SIZE, blockLengthBytes: BLOCK })],
  ['sparse memory', () => new SparseMemoryDevice({ sizeBytes: SIZE, blockLengthBytes: BLOCK })],
  ['an overlay', () => new OverlayDevice(new SparseMemoryDevice({ sizeBytes: SIZE, blockLengthBytes: BLOCK }))],
  ['file', () => FileDevice.open({ path: newPath(), create: true, sizeBytes: SIZE, blockLengthBytes: BLOCK })],
];

describe.each(devices)('a device in %s', (_name, open) => {
  it('behaves as an array of bytes', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(operation, { maxLength: 30 }), async (operations) => {
        const device = open();
        try {
          await compare(device, operations);
        } finally {
          await device.close();
        }
      }),
      { numRuns: 150 },
    );
  });
});

async function compare(device: BlockDevice, operations: readonly Operation[]): Promise<void> {
  const channel = device.openChannel();
  let model = new Uint8Array(SIZE);
  for (const each of operations) {
    if (each.what === 'resize') {
      model = await resize(device, model, each.count);
    } else {
      const blocks = Math.min(each.count, device.blockCount - each.lba);
      if (blocks > 0) await apply(channel, model, each, blocks);
    }
  }
  const image = new Uint8Array(model.byteLength).fill(0xee);
  await channel.read(image, 0, 0, device.blockCount);
  expect(Buffer.compare(image, model)).toBe(0);
}

async function apply(channel: DeviceChannel, model: Uint8Array, each: Operation, blocks: number): Promise<void> {
  const at = each.lba * BLOCK;
  const content = new Uint8Array(blocks * BLOCK).map((_, index) => each.seed + index);
  if (each.what === 'write') await channel.write(content, 0, each.lba, blocks);
  if (each.what === 'writev') {
    const middle = each.seed % content.byteLength;
    await channel.writev([content.subarray(0, middle), content.subarray(middle)], each.lba, blocks);
  }
  if (each.what === 'write' || each.what === 'writev') model.set(content, at);
  if (each.what === 'writeZeroes') await channel.writeZeroes(each.lba, blocks);
  if (each.what === 'unmap') await channel.unmap(each.lba, blocks);
  if (each.what === 'writeZeroes' || each.what === 'unmap') model.fill(0, at, at + blocks * BLOCK);
  const source = each.source ?? each.lba;
  const fits = source + blocks <= model.byteLength / BLOCK && Math.abs(source - each.lba) >= blocks;
  if (each.what === 'copy' && channel.copy && fits) {
    await channel.copy(each.lba, source, blocks);
    model.copyWithin(at, source * BLOCK, (source + blocks) * BLOCK);
  }
}

async function resize(device: BlockDevice, model: Uint8Array<ArrayBuffer>, blocks: number) {
  if (!isResizable(device)) return model;
  await device.resize(blocks);
  const resized = new Uint8Array(blocks * BLOCK);
  resized.set(model.subarray(0, resized.byteLength));
  return resized;
}
