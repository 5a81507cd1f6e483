/** A store as an attached thread sees it: the common `Store`, with the additions of `AttachedStore`. */

import { BlobstoreError, type Channel } from '@blobyard/core';
import type { AttachedStore } from '../api/attached-store.js';
import type { BlobHandle } from '../blob/blob-handle.js';
import { StoreFace } from '../store/store-face.js';
import type { AttachedParts } from './attached-parts.js';
import type { RemoteHost } from './remote-host.js';

export class AttachedFace extends StoreFace implements AttachedStore {
  readonly host: RemoteHost;
  readonly channel: Channel;

  constructor(parts: AttachedParts) {
    super(parts);
    this.host = parts.remote.host;
    this.channel = parts.remote.channel;
  }

  get isDetached(): boolean {
    return this.isClosed;
  }

  get ioUnitBytes(): number {
    return this.parts.geometry.ioUnitBytes;
  }

  get clusterSizeBytes(): number {
    return this.parts.geometry.clusterBytes;
  }

  blob(id: bigint): BlobHandle {
    return this.openSync(id);
  }

  detach(): Promise<void> {
    return this.close();
  }

  /** Does nothing if this thread has left the store already: then it resolves, even if the first call failed. */
  override close(): Promise<void> {
    return this.parts.state === 'ended' ? Promise.resolve() : super.close();
  }

  override async destroy(): Promise<void> {
    throw new BlobstoreError('ENOTSUP', 'an attached thread cannot destroy the store: the thread that opened it can');
  }
}
