/** What a store is made of. Each mode (local, pool, attached) has parts of its own; the store above them is the same. */

import type { BlobstoreError, BlockDevice, Blob as EngineBlob, Geometry, SharedStore } from '@blobyard/core';
import type { Damage, Engine, StoreEvents } from '../api/store.js';
import type { StoreHandle } from '../api/store-handle.js';
import type { DataPort } from '../data/data-port.js';
import type { Busy } from '../data/in-flight.js';
import type { LoopTurns } from '../data/loop-turns.js';
import type { MetadataPort, SyncMetadata } from './metadata-port.js';

/** How a store is ended by its users. */
export type StoreEnding = 'close' | 'destroy';

/** Told what happens to a store. */
export interface StoreListener {
  event<Name extends keyof StoreEvents>(name: Name, ...given: StoreEvents[Name]): void;
  /** The store works no more: every call fails with this error from now on. */
  failed(error: BlobstoreError): void;
}

/** The engine below, where it is on the calling thread. */
export interface EngineAccess {
  store(): Engine;
  blob(handle: number): EngineBlob;
}

export interface StoreParts {
  /** What it is called in messages, such as "the store". */
  readonly title: string;
  readonly metadata: MetadataPort;
  readonly sync: SyncMetadata;
  readonly data: DataPort;
  readonly shared: SharedStore;
  readonly geometry: Geometry;
  /** The device as the calling thread has it open. */
  readonly device: BlockDevice;
  readonly damaged: readonly Damage[];
  /** Undefined where the engine is on another thread. */
  readonly engine: EngineAccess | undefined;
  /** Told while something is under way, to keep the process alive; undefined: what is under way does so itself. */
  readonly busy: Busy | undefined;
  /** By which operations let the event loop turn; undefined: they wait for other threads. */
  readonly turns: LoopTurns | undefined;
  /** The name of a blob now; undefined, where this thread knows only what it was told last. */
  readonly nameOf: ((id: bigint) => string | undefined) | undefined;
  /** What has not ended on this thread; each is 0 when nothing is under way. For tests. */
  readonly underWay: Readonly<Record<string, number>>;

  /** Has a listener told from now on, and soon of what has happened already. Once. */
  listen(listener: StoreListener): void;
  /** What other threads attach by. ENOTSUP when they cannot reach the device. */
  share(): StoreHandle;

  /** The store is about to end: nothing that is under way waits for other threads to see how far it is. */
  beginEnd(): void;
  /** 'open' also after an ending that failed and left all as it was; 'ending' after one that can be gone on with. */
  readonly state: 'open' | 'ending' | 'ended';
  /**
   * Ends the store, once its handles are closed and nothing is under way.
   * @param failure - why a handle could not be closed; thrown in the end, unless the store can be left in good order without it
   */
  end(ending: StoreEnding, failure: { readonly error: unknown } | undefined): Promise<void>;
}
