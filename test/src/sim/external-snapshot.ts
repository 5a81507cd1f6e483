/** An external snapshot: a device outside the store, which never changes, behind the clones of it. */

import type { BlockDevice } from '@blobyard/core';
import { asyncDevice, SparseMemoryDevice } from '@blobyard/io';
import { Random } from '../stress/random.js';
import type { SimConfiguration } from './configuration.js';
import { ModelBlob } from './model-blob.js';
import { FRESH, putSectors } from './sectors.js';
import { SECTOR_BYTES } from './sim-device.js';

/** One in so many seeds has one. */
const RARITY = 8;
const CLUSTERS_MAX = 6;
/** The number in the place of a blob's. */
const UID = 0;
/** What its sectors hold: no write comes to so large a number. */
const TOKEN = 0x7000_0000;

export class ExternalSnapshot {
  readonly id = new TextEncoder().encode('external');
  /** As a parent of blobs, and as long as any of them. */
  readonly model: ModelBlob;
  readonly #image: Uint8Array;
  readonly #seed: number;

  /** Undefined for most seeds. It has randomness of its own: what those others play does not depend on it. */
  static of(seed: number, configuration: SimConfiguration): ExternalSnapshot | undefined {
    const random = new Random(seed, 'external snapshot');
    return random.below(RARITY) === 0 ? new ExternalSnapshot(random, configuration) : undefined;
  }

  private constructor(random: Random, { clusterBytes, thinMax, thickMax }: SimConfiguration) {
    this.#seed = random.next();
    const sectorsPerCluster = clusterBytes / SECTOR_BYTES;
    const clusters = Math.max(thinMax, thickMax);
    const meta = { clusters, isThin: false, isReadOnly: true, parent: undefined, xattrs: new Map() };
    this.model = new ModelBlob({ uid: UID, id: 0n, clearMethod: 'none', sectorsPerCluster, meta, since: 0 });
    const sectors = 1 + random.below(CLUSTERS_MAX * sectorsPerCluster); // it may end within a cluster
    this.#image = new Uint8Array(sectors * SECTOR_BYTES);
    this.model.now.fill(FRESH);
    for (let sector = 0; sector < sectors; sector++) {
      if (random.below(8) === 0) continue;
      putSectors(this.#image.subarray(sector * SECTOR_BYTES, (sector + 1) * SECTOR_BYTES), TOKEN, sector);
      this.model.now[sector] = TOKEN;
    }
  }

  /** Its device for one clone; the reads of one are done in any order. */
  open(): BlockDevice {
    const device = SparseMemoryDevice.fromBytes(this.#image, { blockLengthBytes: SECTOR_BYTES });
    return asyncDevice(device, { when: 'microtask', seed: this.#seed });
  }
}
