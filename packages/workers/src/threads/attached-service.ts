/** What an attached thread can have done on the metadata thread: what is done for a client, but for opening and ending the store. */

import type { BlobRef } from '@blobyard/core';
import type { InlineBlob } from '../inline/inline-blob.js';
import type { InlineStore } from '../inline/inline-store.js';
import type { ClientCallbacks } from './client-callbacks.js';
import type { MethodOf } from './envelopes.js';
import type { OpenedBlob } from './metadata-protocol.js';
import type { RowService } from './row-client.js';
import { StoreService } from './store-service.js';

/** The methods that attached threads may call. */
const METHODS = [
  'create',
  'open',
  'delete',
  'blobs',
  'stats',
  'getSuperBlob',
  'setSuperBlob',
  'grow',
  'flush',
  'dump',
  'info',
  'clones',
  'snapshot',
  'clone',
  'inflate',
  'decouple',
  'copyTo',
  'resize',
  'setReadOnly',
  'syncBlob',
  'flushBlob',
  'getXattr',
  'getXattrText',
  'listXattrs',
  'setXattrs',
  'deleteXattr',
  'closeHandle',
] as const satisfies readonly MethodOf<StoreService>[];

type Callable = (typeof METHODS)[number];
type Method = (...given: readonly unknown[]) => Promise<unknown>;

/** The service as an attached thread sees it. */
export type AttachedCalls = Pick<StoreService, Callable>;

export class AttachedService extends StoreService implements RowService {
  protected readonly opened: InlineStore;

  constructor(store: InlineStore, callbacks: ClientCallbacks) {
    super(callbacks);
    this.opened = store;
  }

  method(name: string): Method | undefined {
    return METHODS.includes(name as Callable) ? (this[name as Callable] as Method) : undefined;
  }

  openAt(id: bigint): Promise<BlobRef> {
    return this.open(id, {});
  }

  closeAt(slot: number, generation: number): Promise<void> {
    return this.handles.closeAt(slot, generation);
  }

  flushAt(slot: number, generation: number): Promise<void> {
    return this.handles.flushAt(slot, generation);
  }

  closeAll(): Promise<void> {
    return this.handles.closeAll();
  }

  dropAll(): Promise<void> {
    return this.handles.dropAll();
  }

  protected override keep(blob: InlineBlob): OpenedBlob {
    return super.keep(blob.lend());
  }
}
