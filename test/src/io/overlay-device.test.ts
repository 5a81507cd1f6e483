/** The overlay device, which keeps all writes in memory, over a device that it only reads. */

import { rmSync, writeFileSync } from 'node:fs';
import { asyncDevice, FileDevice, OverlayDevice, SparseMemoryDevice } from '@blobyard/io';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RangeSet } from '../../../packages/io/dist/range-set.js';
import { failure } from './failure.js';
import { newPath } from './temp-folder.js';

const BLOCK = 512;
const BLOCKS = 140; // more than a chunk of a sparse device

/** Contents without a zero byte. */
const CONTENT = new Uint8Array(BLOCKS * BLOCK).map((_, at) => 1 + (at % 251));

const change = fc.record({
  zero: fc.boolean(),
  lba: fc.nat(BLOCKS - 1),
  count: fc.oneof(fc.nat(8), fc.nat(BLOCKS)),
  seed: fc.nat(255),
});

describe('an overlay', () => {
  it.each(['synchronous', 'asynchronous'])('reads written blocks from memory, others from below (%s)', async (form) => {
    await fc.assert(
      fc.asyncProperty(fc.array(change, { maxLength: 20 }), async (changes) => {
        const below = SparseMemoryDevice.fromBytes(CONTENT, { blockLengthBytes: BLOCK });
        const device = new OverlayDevice(form === 'synchronous' ? below : asyncDevice(below, { when: 'microtask' }));
        const channel = device.openChannel();
        const model = CONTENT.slice();
        for (const { zero, lba, count, seed } of changes) {
          const blocks = Math.min(count, BLOCKS - lba);
          const bytes = zero ? new Uint8Array(blocks * BLOCK) : new Uint8Array(blocks * BLOCK).fill(seed);
          model.set(bytes, lba * BLOCK);
          await (zero ? channel.unmap(lba, blocks) : channel.write(bytes, 0, lba, blocks));
        }
        const image = new Uint8Array(BLOCKS * BLOCK);
        await channel.read(image, 0, 0, BLOCKS);
        expect(Buffer.compare(image, model)).toBe(0);
        const parts = [new Uint8Array(1000), new Uint8Array(BLOCKS * BLOCK - 1000)];
        await channel.readv(parts, 0, BLOCKS);
        expect(Buffer.compare(Buffer.concat(parts), model)).toBe(0);
        expect(Buffer.compare(below.bytes(), CONTENT)).toBe(0);
        await device.close();
      }),
      { numRuns: 50 },
    );
  });

  it('takes no memory for any number of zeroes', async () => {
    const sizeBytes = 2 ** 52;
    const device = new OverlayDevice(new SparseMemoryDevice({ sizeBytes }));
    const channel = device.openChannel();
    await channel.write(new Uint8Array(4096).fill(1), 0, 0, 1);
    await channel.unmap(0, sizeBytes / 4096);
    expect(device.allocatedBytes).toBe(0);
  });

  it('can be written over a read-only file', async () => {
    const path = newPath();
    writeFileSync(path, CONTENT, { mode: 0o444 });
    const device = new OverlayDevice(FileDevice.open({ path, blockLengthBytes: BLOCK, readOnly: true }));
    const channel = device.openChannel();
    await channel.write(new Uint8Array(BLOCK), 0, 1, 1);
    await channel.flush();
    const back = new Uint8Array(2 * BLOCK);
    await channel.read(back, 0, 0, 2);
    expect([back[0], back[BLOCK]]).toEqual([1, 0]);
    await device.close();
    await failure('EBADF', () => channel.read(back, 0, 0, 2));
    rmSync(path);
  });
});

it('a set of ranges contains exactly the numbers that were added', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(60), fc.nat(12)), { maxLength: 12 }),
      fc.nat(60),
      fc.nat(60),
      (added, start, count) => {
        const set = new RangeSet();
        const model = new Set<number>();
        for (const [first, length] of added) {
          set.add(first, length);
          for (let at = first; at < first + length; at++) model.add(at);
        }
        const parts = [...set.partsOf(start, count)];
        const seen = parts.flatMap((part) => Array.from({ length: part.count }, () => part.isInside));
        expect(seen).toEqual(Array.from({ length: count }, (_, at) => model.has(start + at)));
        expect(parts.every((part, at) => part.count > 0 && part.isInside !== parts[at + 1]?.isInside)).toBe(true);
      },
    ),
  );
});
