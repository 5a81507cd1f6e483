/** The state that all handles of a store's blobs share on one thread. */

import type { BlobstoreError } from '@blobyard/core';
import type { BlobAddress } from '../api/store.js';
import { EdgeArrays } from '../data/edge-arrays.js';
import { SetsByKey } from '../data/sets-by-key.js';
import { WriteOrder } from '../data/write-order.js';
import type { OpenedBlob } from '../ports/metadata-port.js';
import type { StoreParts } from '../ports/store-parts.js';

/** A handle that is not closed, as the store sees it. */
export interface OpenHandle {
  readonly id: bigint;
  readonly name: string | undefined;
  readonly isClosed: boolean;
  close(): Promise<void>;
  /** The store has failed: from now on every call fails with this error. */
  fail(error: BlobstoreError): void;
}

/** The state that all handles of one open blob share on this thread. */
export class BlobCommons {
  readonly id: bigint;
  readonly generation: number;
  readonly order: WriteOrder;
  readonly #named: SetsByKey<string, BlobCommons>;
  #name: string | undefined;

  constructor({ id, generation }: OpenedBlob, order: WriteOrder, named: SetsByKey<string, BlobCommons>) {
    this.id = id;
    this.generation = generation;
    this.order = order;
    this.#named = named;
  }

  /** The blob's name, as last reported to this thread. */
  get name(): string | undefined {
    return this.#name;
  }

  set name(name: string | undefined) {
    if (name === this.#name) return;
    if (this.#name !== undefined) this.#named.delete(this.#name, this);
    if (name !== undefined) this.#named.add(name, this);
    this.#name = name;
  }
}

/** One for each open store of a thread. */
export class BlobContext {
  readonly parts: StoreParts;
  readonly edges: EdgeArrays;
  /** The handles that are not closed. */
  readonly handles = new Set<OpenHandle>();
  /** Those of `handles` that are being closed, or could not be closed. They refuse all calls except `close`. */
  readonly closing = new Set<OpenHandle>();
  /** Set once the store has failed: the error of every later call. */
  failure: BlobstoreError | undefined;
  readonly #bySlot = new Map<number, BlobCommons>();
  readonly #byId = new SetsByKey<bigint, BlobCommons>();
  readonly #byName = new SetsByKey<string, BlobCommons>();

  constructor(parts: StoreParts) {
    this.parts = parts;
    this.edges = new EdgeArrays(parts.geometry.ioUnitBytes);
  }

  /** The shared states of the open blobs with an address, and of some closed ones that are not forgotten yet. */
  commonsAt(address: BlobAddress): BlobCommons[] {
    return typeof address === 'bigint' ? this.#byId.of(address) : this.#byName.of(address.name);
  }

  /**
   * The shared state of an open blob. It is kept as long as any handle has the blob open. When the blob is opened again
   * later, its slot has another generation, and the state is a new one.
   */
  commonsOf(opened: OpenedBlob): BlobCommons {
    const { slot, generation, name } = opened;
    let commons = this.#bySlot.get(slot);
    if (commons?.generation !== generation) {
      if (commons !== undefined) this.#forget(commons);
      commons = new BlobCommons(opened, new WriteOrder(this.parts.data.isElsewhere), this.#byName);
      this.#bySlot.set(slot, commons);
      this.#byId.add(commons.id, commons);
    }
    commons.name = name;
    return commons;
  }

  #forget(commons: BlobCommons): void {
    this.#byId.delete(commons.id, commons);
    if (commons.name !== undefined) this.#byName.delete(commons.name, commons);
  }
}
