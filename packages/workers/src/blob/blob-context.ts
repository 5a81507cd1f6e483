/** The state that all handles of a store's blobs share on one thread. */

import type { BlobstoreError } from '@blobyard/core';
import { EdgeArrays } from '../data/edge-arrays.js';
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
export interface BlobCommons {
  readonly id: bigint;
  readonly generation: number;
  readonly order: WriteOrder;
  /** The blob's name, as last reported to this thread. */
  name: string | undefined;
}

/** One for each open store of a thread. */
export class BlobContext {
  readonly parts: StoreParts;
  readonly edges: EdgeArrays;
  /** The handles that are not closed. */
  readonly handles = new Set<OpenHandle>();
  /** Set once the store has failed: the error of every later call. */
  failure: BlobstoreError | undefined;
  readonly #commons = new Map<number, BlobCommons>();

  constructor(parts: StoreParts) {
    this.parts = parts;
    this.edges = new EdgeArrays(parts.geometry.ioUnitBytes);
  }

  /** The shared state of all open blobs, and of some that have been closed. */
  get commons(): BlobCommons[] {
    return [...this.#commons.values()];
  }

  /**
   * The shared state of an open blob. It is kept as long as any handle has the blob open. When the blob is opened again
   * later, its slot has another generation, and the state is a new one.
   */
  commonsOf({ id, slot, generation, name }: OpenedBlob): BlobCommons {
    let commons = this.#commons.get(slot);
    if (commons?.generation !== generation) {
      commons = { id, generation, order: new WriteOrder(this.parts.data.isElsewhere), name };
      this.#commons.set(slot, commons);
    }
    commons.name = name;
    return commons;
  }
}
