/** What the handles of a store's blobs have in common on one thread. */

import type { BlobstoreError } from '@blobyard/core';
import { EdgeArrays } from '../data/edge-arrays.js';
import { WriteOrder } from '../data/write-order.js';
import type { OpenedBlob } from '../ports/metadata-port.js';
import type { StoreParts } from '../ports/store-parts.js';

/** A handle that is not closed, as its store knows it. */
export interface OpenHandle {
  readonly id: bigint;
  readonly name: string | undefined;
  readonly isClosed: boolean;
  close(): Promise<void>;
  /** The store works no more: every call fails with this error. */
  fail(error: BlobstoreError): void;
}

/** What all handles of one open blob share on this thread. */
export interface BlobCommons {
  readonly id: bigint;
  readonly generation: number;
  readonly order: WriteOrder;
  /** As this thread was told last. */
  name: string | undefined;
}

export class BlobContext {
  readonly parts: StoreParts;
  readonly edges: EdgeArrays;
  /** Those that are not closed. */
  readonly handles = new Set<OpenHandle>();
  /** What every call fails with, once the store works no more. */
  failure: BlobstoreError | undefined;
  readonly #commons = new Map<number, BlobCommons>();

  constructor(parts: StoreParts) {
    this.parts = parts;
    this.edges = new EdgeArrays(parts.geometry.ioUnitBytes);
  }

  /** Of the blobs that are open, and of some that were. */
  get commons(): BlobCommons[] {
    return [...this.#commons.values()];
  }

  /** Of a blob as long as it is open, by whichever handles: its slot has another generation afterwards. */
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
