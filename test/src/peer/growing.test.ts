/** Stores on devices whose size changes. */

import { Blobstore, runSync, SuperBlock } from '@blobyard/core';
import { expect } from 'vitest';
import { codeOf, eachConfiguration, MIB, type Yard } from './fixture.js';

const BLOCKS = (64 * MIB) / 4096;
const BLOCKS_OF_CLUSTER = MIB / 4096;
const MASK_BITS_AT = 1;

function superOf(yard: Yard): SuperBlock {
  return new SuperBlock(yard.peek(0, 4096));
}

/** The number of bits in the cluster mask on disk. */
function maskBits(yard: Yard): number {
  const mask = yard.peek(superOf(yard).clusterMask.start * 4096, 4096);
  return new DataView(mask.buffer, mask.byteOffset).getUint32(MASK_BITS_AT, true);
}

eachConfiguration((test) => {
  test('grows while open: not at all, by less than a cluster, to the double, and after a crash', (yard) => {
    yard.make({ clusterCount: 5 });
    yard.do(yard.store.growLive());
    expect(yard.store.dataClusterCount).toBe(63);
    yard.memory.resize(BLOCKS + 1);
    yard.do(yard.store.growLive());
    expect(yard.store.dataClusterCount).toBe(63);
    yard.memory.resize(BLOCKS * 2);
    yard.do(yard.store.growLive());
    expect(yard.store.dataClusterCount).toBe(127);
    expect(yard.store.freeClusterCount).toBe(122);
    expect(superOf(yard).sizeBytes).toBe(128 * MIB);
    expect(maskBits(yard)).not.toBe(128); // written at unload
    const second = yard.make({ clusterCount: 100 });
    yard.write(second, 99 * 256, 256, 4);
    yard.reload();
    expect(maskBits(yard)).toBe(128);
    expect(yard.usage.freeClusters).toBe(22);
    yard.crash({ forceRecover: true });
    yard.memory.resize(BLOCKS * 2 + 10 * BLOCKS_OF_CLUSTER);
    yard.do(yard.store.growLive());
    yard.create({ clusterCount: 30 });
    yard.crash();
    expect(yard.store.dataClusterCount).toBe(137);
    expect(yard.store.freeClusterCount).toBe(2);
    yard.expectContent(yard.open(second.id), 99 * 256, 256, 4);
  });

  test('does not grow when the device became smaller or its mask has no room, and goes on as it was', (yard) => {
    const blob = yard.make({ clusterCount: 5 });
    yard.memory.resize(BLOCKS - BLOCKS_OF_CLUSTER);
    expect(codeOf(() => yard.do(yard.store.growLive()))).toBe('EILSEQ');
    expect(yard.store.dataClusterCount).toBe(63);
    const bitsMax = (4096 - 5) * 8; // of the one page that the mask has
    yard.memory.resize((bitsMax + 1) * BLOCKS_OF_CLUSTER);
    expect(codeOf(() => yard.do(yard.store.growLive()))).toBe('ENOSPC');
    expect(yard.store.dataClusterCount).toBe(63);
    expect(superOf(yard).sizeBytes).toBe(64 * MIB);
    yard.write(blob, 0, 256, 3);
    yard.reload();
    expect(yard.store.dataClusterCount).toBe(63);
    yard.memory.resize(bitsMax * BLOCKS_OF_CLUSTER);
    yard.do(yard.store.growLive());
    expect(yard.store.dataClusterCount).toBe(bitsMax - 1);
    yard.expectContent(yard.open(blob.id), 0, 256, 3);
  });

  test('grows while unloaded, and says so in super block and mask', (yard) => {
    const blob = yard.make({ clusterCount: 10 });
    yard.write(blob, 9 * 256, 256, 5);
    yard.closeAll();
    yard.unload();
    yard.memory.resize(BLOCKS * 2);
    yard.use(runSync(Blobstore.grow(yard.device)));
    expect(superOf(yard).sizeBytes).toBe(128 * MIB);
    expect(maskBits(yard)).toBe(128);
    expect(yard.store.dataClusterCount).toBe(127);
    expect(yard.store.freeClusterCount).toBe(117);
    yard.create({ clusterCount: 117 });
    expect(codeOf(() => yard.create({ clusterCount: 1 }))).toBe('ENOSPC');
    yard.reload();
    yard.expectContent(yard.open(blob.id), 9 * 256, 256, 5);
  });

  test('cuts a mask that a grow has left longer than the super block says', (yard) => {
    const { id } = yard.make({ clusterCount: 10 });
    yard.reload();
    yard.unload();
    yard.poke(superOf(yard).clusterMask.start * 4096, (bytes) => {
      new DataView(bytes.buffer, bytes.byteOffset).setUint32(MASK_BITS_AT, 128, true);
    });
    yard.memory.resize(BLOCKS * 2);
    yard.load();
    expect(yard.store.dataClusterCount).toBe(63);
    expect(yard.store.freeClusterCount).toBe(53);
    yard.create({ clusterCount: 53 });
    yard.reload();
    expect(maskBits(yard)).toBe(64);
    expect(yard.open(id).clusterCount).toBe(10);
  });
});
