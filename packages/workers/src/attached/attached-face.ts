/** A store as an attached thread sees it: what differs from the store on the thread that opened it. */

import { BlobstoreError } from '@blobyard/core';
import type { AttachedStore } from '../api/store.js';
import type { BlobHandle } from '../blob/blob-handle.js';
import { StoreFace } from '../store/store-face.js';
import type { AttachedParts } from './attached-parts.js';
import type { RemoteHost } from './remote-host.js';

export class AttachedFace extends StoreFace implements AttachedStore {
  readonly host: RemoteHost;

  constructor(parts: AttachedParts) {
    super(parts);
    this.host = parts.remote.host;
  }

  /** Does nothing if this thread has left the store already: then it resolves, even if the first call failed. */
  override close(): Promise<void> {
    return this.parts.state === 'ended' ? Promise.resolve() : super.close();
  }

  /** Same as `openSync`, by the id. */
  blob(id: bigint): BlobHandle {
    return this.openSync(id);
  }

  /** Same as `close`: an attached thread leaves the store, which stays open for the others. */
  detach(): Promise<void> {
    return this.close();
  }

  override async destroy(): Promise<void> {
    throw new BlobstoreError('ENOTSUP', 'an attached thread cannot destroy the store: the thread that opened it can');
  }
}
