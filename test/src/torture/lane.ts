/**
 * A lane: a sequence of operations in the tortured process, beside those of other lanes. A lane has some blobs for
 * itself, with all their snapshots and clones, and executes one operation after another on each.
 */

import type { Blob, BlobInfo, Store } from 'blobyard';
import type { Random } from '../random.js';
import { changeAtOnce, changeInOrder, type DataWork } from './data-work.js';
import { checksum } from './pattern.js';
import type { Reporter } from './protocol.js';

export interface LaneOptions {
  readonly store: Store;
  readonly name: string;
  readonly random: Random;
  readonly reporter: Reporter;
  readonly clusterBytes: number;
  readonly hasSync: boolean;
  /** Lets an attached thread change a blob; undefined if there is no such thread. */
  readonly elsewhere?: (key: string, id: bigint, count: number) => Promise<void>;
}

const BLOBS_MAX = 7;
const CLUSTERS_MAX = 24;
const BURST_MAX = 16;

export class Lane {
  readonly #options: LaneOptions;
  /** The ids of its blobs, by key. */
  readonly #blobs: Map<string, bigint>;
  /** Handles that stay open between operations, so that unsynced changes are not synced by a close. */
  readonly #handles = new Map<string, Blob>();
  #made = 0;

  constructor(options: LaneOptions, blobs: Map<string, bigint>) {
    this.#options = options;
    this.#blobs = blobs;
  }

  /** Changes the bytes of one blob, and at the same time executes another operation on another blob. */
  async step(): Promise<void> {
    const { random } = this.#options;
    if (this.#blobs.size === 0) return this.#create();
    const keys = [...this.#blobs.keys()];
    const first = random.below(keys.length);
    const second = random.below(keys.length);
    const changing = this.#change(keys[first]);
    if (second !== first) await Promise.all([changing, this.#manage(keys[second])]);
    else await changing;
    if (random.below(3) === 0) await this.#manage(keys[first]);
  }

  async #change(key: string): Promise<void> {
    const { random, elsewhere, clusterBytes, reporter, hasSync } = this.#options;
    const blob = await this.#open(key);
    if (blob.isReadOnly || blob.sizeBytes === 0) return;
    const count = 1 + random.below(BURST_MAX);
    if (elsewhere !== undefined && random.below(3) > 0) return elsewhere(key, blob.id, count);
    const work: DataWork = { key, blob, clusterBytes, random, reporter, hasSync };
    return random.below(2) === 0 ? changeAtOnce(work, count) : changeInOrder(work, count);
  }

  /** Executes an operation that is not a change of bytes. */
  async #manage(key: string): Promise<void> {
    if (!this.#blobs.has(key)) return;
    const { random, reporter, store } = this.#options;
    const blob = await this.#open(key);
    const info = await blob.info();
    switch (random.below(16)) {
      case 0:
      case 1:
        return this.#create();
      case 2:
      case 3:
      case 4:
        return this.#settle(key, blob, random.below(2) === 0 ? 'sync' : 'flush');
      case 5:
        await reporter.perform({ kind: 'flushStore' }, () => store.flush());
        return;
      case 6:
      case 7:
        return this.#setXattr(key, blob);
      case 8:
        return this.#resize(key, blob, info);
      case 9:
      case 10:
        return this.#derive(key, blob);
      case 11:
        return this.#derive(key, blob);
      case 12:
        return this.#unlink(key, blob, info);
      case 13:
        await blob.close();
        this.#handles.delete(key);
        return;
      default:
        return this.#delete(key, blob, info);
    }
  }

  async #open(key: string): Promise<Blob> {
    const known = this.#handles.get(key);
    if (known !== undefined) return known;
    const blob = await this.#options.store.open(this.#blobs.get(key) as bigint);
    this.#handles.set(key, blob);
    return blob;
  }

  async #create(): Promise<void> {
    if (this.#blobs.size >= BLOBS_MAX) return;
    const { store, random, reporter, clusterBytes } = this.#options;
    const key = this.#newKey();
    const thin = random.below(4) > 0;
    const bytes = (1 + random.below(CLUSTERS_MAX)) * clusterBytes;
    const tag = `made ${random.next()}`;
    const useExtentTable = random.below(4) > 0;
    await reporter.perform({ kind: 'create', key, bytes, thin, tag }, async () =>
      this.#keep(key, await store.create({ name: key, sizeBytes: bytes, thin, xattrs: { tag }, useExtentTable })),
    );
  }

  /** Syncs or flushes a blob, and reports the checksum of its data. */
  async #settle(key: string, blob: Blob, kind: 'sync' | 'flush'): Promise<void> {
    const { reporter } = this.#options;
    const crc = checksum(await blob.read(0, blob.sizeBytes));
    await reporter.perform({ kind, key, crc }, () => blob[kind]());
  }

  async #setXattr(key: string, blob: Blob): Promise<void> {
    if (blob.isReadOnly) return;
    const { random, reporter } = this.#options;
    const name = `x${random.below(4)}`;
    if (random.below(4) === 0) {
      await reporter.perform({ kind: 'xattr', key, name }, async () => {
        await blob.xattrs.delete(name);
      });
      return;
    }
    const value = String(random.next()).repeat(1 + random.below(60));
    await reporter.perform({ kind: 'xattr', key, name, value }, () => blob.xattrs.set(name, value));
  }

  /** Resizes a blob. A clone only grows, because after a shrink and a growth its data depends on its snapshot. */
  async #resize(key: string, blob: Blob, info: BlobInfo): Promise<void> {
    if (info.readOnly) return;
    const { random, reporter, clusterBytes } = this.#options;
    const clusters = 1 + random.below(CLUSTERS_MAX);
    const bytes = info.clone ? Math.max(clusters * clusterBytes, info.sizeBytes) : clusters * clusterBytes;
    await reporter.perform({ kind: 'resize', key, bytes }, () => blob.resize(bytes));
  }

  /** Makes a snapshot of a writable blob, or a clone of a read-only one. */
  async #derive(key: string, blob: Blob): Promise<void> {
    if (this.#blobs.size >= BLOBS_MAX) return;
    const { reporter } = this.#options;
    const made = this.#newKey();
    const kind = blob.isReadOnly ? 'clone' : 'snapshot';
    await reporter.perform({ kind, key, made }, async () => this.#keep(made, await blob[kind]({ name: made })));
  }

  async #unlink(key: string, blob: Blob, info: BlobInfo): Promise<void> {
    if (info.readOnly || !info.clone) return;
    const { random, reporter } = this.#options;
    const kind = random.below(2) === 0 ? 'inflate' : 'decouple';
    await reporter.perform({ kind, key }, () => blob[kind]());
  }

  async #delete(key: string, blob: Blob, info: BlobInfo): Promise<void> {
    if (info.clones.length > 1) return;
    const { store, reporter } = this.#options;
    await blob.close();
    this.#handles.delete(key);
    this.#blobs.delete(key);
    await reporter.perform({ kind: 'delete', key }, () => store.delete(info.id));
  }

  #keep(key: string, blob: Blob): Blob {
    this.#blobs.set(key, blob.id);
    this.#handles.set(key, blob);
    return blob;
  }

  #newKey(): string {
    this.#made++;
    return `${this.#options.name}-${this.#made}`;
  }
}
