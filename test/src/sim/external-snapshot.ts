/**
 * An external snapshot, which some seeds have: a device outside the store, which never changes, with clones in the
 * store.
 */

import type { BlockDevice } from '@blobyard/core';
import { asyncDevice, SparseMemoryDevice } from '@blobyard/io';
import { Random, shuffled } from '../random.js';
import type { SimConfiguration } from './configuration.js';
import { ModelBlob } from './model-blob.js';
import { putSectors, ZERO } from './sectors.js';
import { SECTOR_BYTES } from './tearing.js';

/** One of so many seeds has an external snapshot. It is as long as any blob, since reads past its end fail. */
const RARITY = 8;
const CLUSTERS_MAX = 16;
/** Its number among those of the blobs. */
export const EXTERNAL_UID = 0;
/** The token of its sectors, which is larger than that of any write. */
const TOKEN = 0x7000_0000;

export class ExternalSnapshot {
  readonly id = new TextEncoder().encode('external');
  /** Its model, as a parent of blobs. */
  readonly model: ModelBlob;
  readonly #image: Uint8Array;
  readonly #seed: number;

  /**
   * The external snapshot of a seed, or undefined. Its own random numbers keep the runs of all other seeds the same.
   */
  static of(seed: number, configuration: SimConfiguration): ExternalSnapshot | undefined {
    const random = new Random(seed, 'external snapshot');
    const { clusterBytes, thinMax, thickMax } = configuration;
    const clusters = Math.max(thinMax, thickMax);
    if (random.below(RARITY) !== 0 || clusters > CLUSTERS_MAX) return undefined;
    return new ExternalSnapshot(random, clusters, clusterBytes / SECTOR_BYTES);
  }

  private constructor(random: Random, clusters: number, sectorsPerCluster: number) {
    this.#seed = random.next();
    const meta = { clusters, isThin: false, isReadOnly: true, parent: undefined, xattrs: new Map() };
    this.model = new ModelBlob({ uid: EXTERNAL_UID, id: 0n, clearMethod: 'none', sectorsPerCluster, meta, since: 0 });
    this.model.now.fill(ZERO);
    this.#image = new Uint8Array(this.model.now.length * SECTOR_BYTES);
    for (let sector = 0; sector < this.model.now.length; sector++) {
      if (random.below(8) === 0) continue;
      putSectors(this.#image.subarray(sector * SECTOR_BYTES, (sector + 1) * SECTOR_BYTES), TOKEN, sector);
      this.model.now[sector] = TOKEN;
    }
  }

  /** Opens its device for one clone. The device completes reads in a random order. */
  open(): BlockDevice {
    const device = SparseMemoryDevice.fromBytes(this.#image, { blockLengthBytes: SECTOR_BYTES });
    return asyncDevice(device, { when: 'microtask', ...shuffled(this.#seed) });
  }
}
