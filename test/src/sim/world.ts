/** A store that is being simulated, and beside it what must hold of it. */

import type { BlobId, Blobstore, Channel } from '@blobyard/core';
import type { Random } from '../random.js';
import type { SimConfiguration } from './configuration.js';
import type { ExternalSnapshot } from './external-snapshot.js';
import type { ModelBlob } from './model-blob.js';
import type { Scheduler } from './scheduler.js';
import type { SimDevice } from './sim-device.js';

/** What a store says of a blob. */
export interface FoundBlob {
  readonly id: BlobId;
  readonly text: string;
}

/** What a store says of its blobs, by the number that each carries. */
export type FoundBlobs = ReadonlyMap<number, FoundBlob>;

/** An operation on metadata that a cut may meet half way: the store says afterwards whether it has happened. */
export type Undecided = (found: FoundBlobs) => void;

/** One of several values that the super block may have after a cut. */
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
  /** By the number that each carries as an xattr. */
  readonly blobs = new Map<number, ModelBlob>();
  readonly undecided = new Set<Undecided>();
  /** The super blob, and the clusters that the store has: what a cut may bring back, the newest last. */
  superBlobs: Candidate<BlobId>[] = [];
  clusterCounts: Candidate<number>[] = [];
  /** What nobody has written may read as anything: what is given back is not always cleared. */
  isLax: boolean;
  /** An operation on the store as a whole is under way. */
  isBusy = false;
  /** What began the last operation. */
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

  /** Acknowledged changes can be lost until they are flushed. */
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

  /** When a change was acknowledged, if it can be lost after that. */
  lossMoment(): number | undefined {
    const now = this.tick();
    return this.losesUnflushed ? now : undefined;
  }

  clonesOf(blob: ModelBlob): ModelBlob[] {
    return [...this.blobs.values()].filter(({ meta }) => meta.parent === blob);
  }

  /** The blob of the store that another is a clone of. */
  parentOf({ meta: { parent } }: ModelBlob): ModelBlob | undefined {
    return parent === this.external?.model ? undefined : parent;
  }

  /** A blob with its parent and its clones: what an operation on how they hang together keeps to itself. */
  familyOf(blob: ModelBlob): ModelBlob[] {
    const parent = this.parentOf(blob);
    return [blob, ...(parent ? [parent] : []), ...this.clonesOf(blob)];
  }

  /** Any one; undefined when there is none. */
  pick<T>(items: readonly T[]): T | undefined {
    return items.length === 0 ? undefined : items[this.random.below(items.length)];
  }

  oneIn(count: number): boolean {
    return this.random.below(count) === 0;
  }
}

/** Takes values away that cannot come back: what was there before the last that was settled at a moment. */
export function settleCandidates<T>(candidates: readonly Candidate<T>[], moment: number): Candidate<T>[] {
  let first = 0;
  candidates.forEach(({ since }, at) => {
    if (since <= moment) first = at;
  });
  return candidates.slice(first);
}
