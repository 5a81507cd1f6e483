/** The configuration of a run, which the seed decides: the device, the store, and the number of operations at once. */

import type { ClearMethod, Durability } from '@blobyard/core';
import { Random } from '../random.js';

export interface SimConfiguration {
  readonly durability: Durability;
  /**
   * `refuse`: stores are opened as by the promise API, which checks all metadata; undefined: as by the specification.
   */
  readonly onDamage: 'refuse' | undefined;
  readonly blockLengthBytes: number;
  readonly clusterBytes: number;
  readonly clusterCount: number;
  /** The number of clusters up to which the device may grow. */
  readonly clusterCountMax: number;
  readonly mdPageCount: number;
  readonly canCopy: boolean;
  readonly knowsZeroes: boolean;
  /** True: the device takes ranges of sectors that are not whole blocks. */
  readonly takesBytes: boolean;
  /** True: the device names the owner of its cache, so that a killed process loses no acknowledged write. */
  readonly namesCacheOwner: boolean;
  readonly clearMethods: readonly ClearMethod[];
  /** True: freed clusters may keep their data, and show it to the next owner. */
  readonly leavesContent: boolean;
  /** The greatest number of operations under way at once. */
  readonly operationsMax: number;
  readonly blobsMax: number;
  /** The greatest sizes of thin and of thick blobs, in clusters. */
  readonly thinMax: number;
  readonly thickMax: number;
  /** Of so many steps, one starts an operation; the others complete a request. */
  readonly restraint: number;
  /** How often the store is opened. */
  readonly lives: number;
}

export function drawConfiguration(seed: number, random: Random): SimConfiguration {
  const oneIn = (count: number) => random.below(count) === 0;
  const isLarge = oneIn(12); // blobs with several extent pages
  const clusterBytes = isLarge ? 4096 : 4096 << random.below(3);
  const mdPageCount = 24 + random.below(41);
  const metadataClusters = Math.ceil(((mdPageCount + 4) * 4096) / clusterBytes);
  const clusterCount = metadataClusters + 12 + random.below(40);
  const leavesContent = oneIn(16);
  return {
    durability: oneIn(5) ? 'process-crash' : 'power-loss',
    onDamage: oneIn(4) ? undefined : 'refuse',
    blockLengthBytes: oneIn(2) ? 512 : 4096,
    clusterBytes,
    clusterCount,
    clusterCountMax: clusterCount + 16,
    mdPageCount,
    canCopy: oneIn(2),
    knowsZeroes: oneIn(2),
    takesBytes: new Random(seed, 'takes bytes').below(3) === 0, // of its own, as below
    namesCacheOwner: new Random(seed, 'cache owner').below(3) > 0, // of its own, so that the rest of a seed stays as it is
    clearMethods: leavesContent ? ['none', 'default'] : ['default', 'unmap', 'write_zeroes'],
    leavesContent,
    operationsMax: 1 + random.below(7),
    blobsMax: 3 + random.below(9),
    thinMax: isLarge ? 1100 : 10,
    thickMax: 8,
    restraint: 2 + random.below(6),
    lives: 2 + random.below(3),
  };
}
