/** The simulated store, and its model. */

import type { BlobId, Blobstore, Channel } from '@blobyard/core';
import type { Random } from '../random.js';
import type { SimConfiguration } from './configuration.js';
import type { ExternalSnapshot } from './external-snapshot.js';
import type { ModelBlob } from './model-blob.js';
import type { Scheduler } from './scheduler.js';
import type { SimDevice } from './sim-device.js';

/** A blob of the store, with its metadata as text. */
export interface FoundBlob {
  readonly id: BlobId;
  readonly text: string;
}

/** The blobs of the store, by the number in their xattr `uid`. */
export type FoundBlobs = ReadonlyMap<number, FoundBlob>;

/** An operation on metadata that a cut may interrupt. Called with the blobs found after the cut, to see its outcome. */
export type Undecided = (found: FoundBlobs) => void;

/** A value that the super block may have after a cut. */
interface Candidate<T> {
  readonly value: T;
  readonly since: number;
}

export class World {
  readonly configuration: SimConfiguration;
  readonly device: SimDevice;
  readonly scheduler: Scheduler;
  readonly random: Random;
  readonly external: ExternalSnapshot | undefined;
  /** The models of the blobs, by their number. */
  readonly blobs = new Map<number, ModelBlob>();
  readonly undecided = new Set<Undecided>();
  /** The super blobs, and the numbers of clusters, that a cut may bring back, the newest last. */
  superBlobs: Candidate<BlobId>[] = [];
  clusterCounts: Candidate<number>[] = [];
  /** True: data that was never written may read as anything, since freed clusters are not always cleared. */
  isLax: boolean;
  /** True: an operation on the whole store is under way. */
  isBusy = false;
  /** The `Starter` of the last operation. */
  lastStarter: unknown;
  store!: Blobstore;
  channels: Channel[] = [];
  #clock = 0;
  #uids = 0;
  #tokens = 0;

  constructor(
    configuration: SimConfiguration,
    device: SimDevice,
    scheduler: Scheduler,
    external: ExternalSnapshot | undefined,
  ) {
    this.configuration = configuration;
    this.device = device;
    this.scheduler = scheduler;
    this.random = scheduler.random;
    this.external = external;
    this.isLax = configuration.leavesContent;
  }

  get sectorsPerCluster(): number {
    return this.configuration.clusterBytes / 512;
  }

  /** True: a power cut can lose acknowledged changes that are not flushed. */
  get losesUnflushed(): boolean {
    return this.configuration.durability === 'power-loss';
  }

  /** A moment later than all before. */
  tick(): number {
    return ++this.#clock;
  }

  nextUid(): number {
    return ++this.#uids;
  }

  nextToken(): number {
    return ++this.#tokens;
  }

  /** The present moment, for a change that is acknowledged now; undefined if a cut cannot lose it after that. */
  lossMoment(): number | undefined {
    const now = this.tick();
    return this.losesUnflushed ? now : undefined;
  }

  clonesOf(blob: ModelBlob): ModelBlob[] {
    return [...this.blobs.values()].filter(({ meta }) => meta.parent === blob);
  }

  /** The parent of a clone, if it is a blob of the store. */
  parentOf({ meta: { parent } }: ModelBlob): ModelBlob | undefined {
    return parent === this.external?.model ? undefined : parent;
  }

  /** A blob with its parent and its clones. An operation that changes their relations needs all of them for itself. */
  familyOf(blob: ModelBlob): ModelBlob[] {
    const parent = this.parentOf(blob);
    return [blob, ...(parent ? [parent] : []), ...this.clonesOf(blob)];
  }

  /** A random item; undefined if there is none. */
  pick<T>(items: readonly T[]): T | undefined {
    return items.length === 0 ? undefined : items[this.random.below(items.length)];
  }

  oneIn(count: number): boolean {
    return this.random.below(count) === 0;
  }
}

/** The candidates without those that a cut cannot bring back: all before the last one that was settled at a moment. */
export function settleCandidates<T>(candidates: readonly Candidate<T>[], moment: number): Candidate<T>[] {
  let first = 0;
  candidates.forEach(({ since }, at) => {
    if (since <= moment) first = at;
  });
  return candidates.slice(first);
}
