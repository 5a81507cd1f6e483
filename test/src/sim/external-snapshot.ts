/** An external snapshot: a device outside the store, which never changes, behind the clones of it. */

import type { BlockDevice } from '@blobyard/core';
import { asyncDevice, SparseMemoryDevice } from '@blobyard/io';
import { Random, shuffled } from '../random.js';
import type { SimConfiguration } from './configuration.js';
import { ModelBlob } from './model-blob.js';
import { putSectors, ZERO } from './sectors.js';
import { SECTOR_BYTES } from './tearing.js';

/** One in so many seeds has one, unless its blobs are large: it is as long as any blob, because reads past its end fail. */
const RARITY = 8;
const CLUSTERS_MAX = 16;
/** Its number among those of the blobs. */
export const EXTERNAL_UID = 0;
/** What its sectors hold: no write comes to so large a number. */
const TOKEN = 0x7000_0000;

export class ExternalSnapshot {
  readonly id = new TextEncoder().encode('external');
  /** As a parent of blobs. */
  readonly model: ModelBlob;
  readonly #image: Uint8Array;
  readonly #seed: number;

  /** Undefined for most seeds. It has randomness of its own: what those others play does not depend on it. */
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

  /** Its device for one clone; the reads of one are done in any order. */
  open(): BlockDevice {
    const device = SparseMemoryDevice.fromBytes(this.#image, { blockLengthBytes: SECTOR_BYTES });
    return asyncDevice(device, { when: 'microtask', ...shuffled(this.#seed) });
  }
}
