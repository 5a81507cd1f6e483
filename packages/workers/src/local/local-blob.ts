/** A reference to a blob that is open in this thread's engine, with the metadata operations on it. */

import { type Blobstore, BlobstoreError, type BlockDevice, type Blob as EngineBlob, type Steps } from '@blobyard/core';
import type { DeviceSpec } from '@blobyard/io';
import type { BlobInfo } from '../api/blob.js';
import { PAUSE, type PacedCopyOptions, type PacedWorkOptions } from '../checks/long-work.js';
import { type DerivedXattrs, NAME_XATTR } from '../checks/xattr-values.js';
import type { NewXattrs } from './blob-naming.js';
import { copyBlob } from './copy-blob.js';
import { type BlobReference, parentOf, type StoreContext } from './store-context.js';

/** Metadata thread. The operations wait for their locks (`BlobTurns`); the `…Now` forms throw EBUSY instead. */
export class LocalBlob implements BlobReference {
  readonly id: bigint;
  readonly engine: EngineBlob;
  readonly #context: StoreContext;
  #closing: Promise<void> | undefined;

  /** @param blob - an open blob; this object takes over the caller's reference to it */
  constructor(context: StoreContext, blob: EngineBlob) {
    this.id = blob.id;
    this.engine = blob;
    this.#context = context;
    context.references.add(this.id, this);
  }

  /** True from `close` on, unless that fails. */
  get isClosing(): boolean {
    return this.#closing !== undefined;
  }

  info(): BlobInfo {
    return this.#context.infoOf(this.id, this.#context.catalogue.nameOf(this.id), this.engine);
  }

  clones(): readonly bigint[] {
    return [...this.#context.blobstore.clonesOf(this.id)];
  }

  snapshot(given: DerivedXattrs): Promise<LocalBlob> {
    return this.#derive(given, true, (xattrs) => this.#snapshotListed(xattrs, notInherited(given)));
  }

  clone(given: DerivedXattrs): Promise<LocalBlob> {
    const { blobstore } = this.#context;
    const make = ({ values }: NewXattrs) => blobstore.createClone(this.id, values, notInherited(given));
    return this.#derive(given, false, (xattrs) => this.#context.run(make(xattrs)));
  }

  inflate(options: PacedWorkOptions): Promise<void> {
    const { blobstore, channel } = this.#context;
    return this.#long(options, () => blobstore.inflateBlob(channel, this.id, this.#context.watch(options)));
  }

  decouple(options: PacedWorkOptions): Promise<void> {
    const { blobstore, channel } = this.#context;
    return this.#long(options, () => blobstore.decoupleBlob(channel, this.id, this.#context.watch(options)), true);
  }

  copyTo(device: DeviceSpec | BlockDevice, options: PacedCopyOptions): Promise<number> {
    const copy = () => copyBlob(this.#context, this.id, device, options);
    return this.#context.turns.with(this.id, { turn: true, signal: options.signal }, copy);
  }

  resize(clusterCount: number, how?: 'grow'): Promise<void> {
    const { blobstore, turns } = this.#context;
    return turns.with(this.id, { turn: true, state: true }, async () => {
      if (how === 'grow' && clusterCount <= this.engine.clusterCount) return;
      await this.#context.run(blobstore.resizeBlob(this.engine, clusterCount));
      await this.#context.run(blobstore.syncBlob(this.engine));
    });
  }

  setReadOnly(): Promise<void> {
    const { blobstore, turns } = this.#context;
    return turns.with(this.id, { turn: true, state: true }, async () => {
      blobstore.setReadOnly(this.engine);
      await this.#context.run(blobstore.syncBlob(this.engine));
    });
  }

  async sync(): Promise<void> {
    const { blobstore, turns } = this.#context;
    await turns.withState([this.id], () => this.#context.run(blobstore.syncBlob(this.engine)));
  }

  flush(): Promise<void> {
    const { blobstore } = this.#context;
    return this.#context.flush(this.id, [this.id], () => blobstore.flushBlob(this.engine));
  }

  syncNow(): void {
    this.#nowWithState((blobstore) => blobstore.syncBlob(this.engine));
  }

  flushNow(): void {
    this.#nowWithState((blobstore) => blobstore.flushBlob(this.engine));
  }

  /**
   * Releases the reference. If that fails the reference stays open, and a later call tries again. A call while another
   * is under way, or after success, returns the same promise.
   */
  close(): Promise<void> {
    this.#closing ??= this.#end((blobstore) => blobstore.closeBlob(this.engine)).catch((error: unknown) => {
      this.#closing = undefined;
      throw error;
    });
    return this.#closing;
  }

  closeNow(): void {
    const { blobstore, turns } = this.#context;
    if (!blobstore.isClosed) {
      turns.now(this.id, { state: true }, () => this.#context.runNow(blobstore.closeBlob(this.engine)));
    }
    this.#gone();
  }

  /** Releases the reference of a thread that cannot get errors. If metadata cannot be written, it stays dirty. */
  async drop(): Promise<void> {
    try {
      if (this.#closing !== undefined) return await this.#closing;
    } catch {
      // closing has failed: drops it instead
    }
    await this.#end((blobstore) => blobstore.dropBlob(this.engine));
  }

  async #end(letGo: (blobstore: Blobstore) => Steps<void>): Promise<void> {
    const { blobstore, turns } = this.#context;
    if (!blobstore.isClosed) {
      await turns.with(this.id, { state: true }, () => {
        return blobstore.isClosed ? Promise.resolve() : this.#context.run(letGo(blobstore));
      });
    }
    this.#gone();
  }

  #gone(): void {
    this.#context.references.delete(this.id, this);
  }

  #nowWithState(operation: (blobstore: Blobstore) => Steps<void>): void {
    const { blobstore, turns } = this.#context;
    turns.nowWithState([this.id], () => this.#context.runNow(operation(blobstore)));
  }

  /** Makes a snapshot or a clone of this blob, adds it to the catalogue, and opens it. */
  #derive(
    given: DerivedXattrs,
    changesState: boolean,
    make: (xattrs: NewXattrs) => Promise<bigint>,
  ): Promise<LocalBlob> {
    const { blobstore, catalogue, naming, turns } = this.#context;
    const xattrs = naming.forNew(given);
    return catalogue.promising(xattrs.name, undefined, () =>
      turns.with(this.id, { turn: true, state: changesState }, async () => {
        const id = await make(xattrs);
        catalogue.add(id, xattrs.name);
        return new LocalBlob(this.#context, await this.#context.run(blobstore.openBlob(id)));
      }),
    );
  }

  /**
   * Makes a snapshot. If only the last step fails, the snapshot exists; then it is added to the catalogue.
   */
  async #snapshotListed(given: NewXattrs, inheritsAllBut: readonly string[] | undefined): Promise<bigint> {
    const { blobstore, catalogue } = this.#context;
    try {
      return await this.#context.run(blobstore.createSnapshot(this.id, given.values, inheritsAllBut));
    } catch (error) {
      const made = parentOf(this.engine);
      if (made !== undefined && !catalogue.has(made)) catalogue.add(made, given.name);
      throw error;
    }
  }

  #long(options: PacedWorkOptions, work: () => Steps<void>, parentTurn = false): Promise<void> {
    const run = () => this.#context.run(work(), options[PAUSE]);
    return this.#context.turns.with(this.id, { turn: true, parentTurn, signal: options.signal }, run);
  }
}

/** The xattrs that a blob made of another one does not get; undefined: none. A new uuid replaces an inherited one. */
export function notInherited({ inherits }: DerivedXattrs): readonly string[] | undefined {
  return inherits ? [NAME_XATTR] : undefined;
}

/**
 * Throws EBUSY if a blob has open references. Those that are being closed do not count; the deletion waits for them.
 */
export function requireNoReferences(context: StoreContext, id: bigint): void {
  const open = context.references.of(id).filter((each) => !each.isClosing).length;
  if (open === 0) return;
  throw new BlobstoreError('EBUSY', `blob ${id} cannot be deleted: ${open} of its handles are open; close them first`);
}
