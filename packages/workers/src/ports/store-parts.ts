/** The parts of a store. Each mode (local, pool, attached) has its own parts; the store that uses them is the same. */

import type { BlobstoreError, BlockDevice, Channel, Blob as EngineBlob, Geometry, SharedStore } from '@blobyard/core';
import type { Damage, Engine, StoreEvents } from '../api/store.js';
import type { StoreHandle } from '../api/store-handle.js';
import type { DataPort } from '../data/data-port.js';
import type { Busy } from '../data/in-flight.js';
import type { LoopTurns } from '../data/loop-turns.js';
import type { MetadataPort, SyncMetadata } from './metadata-port.js';

/** How a user ends a store. */
export type StoreEnding = 'close' | 'destroy';

/** The events that happen on the metadata thread, and what is told about them. */
type MetadataEvents = Pick<StoreEvents, 'low-space' | 'recovered' | 'grown'>;

/** An event of the metadata thread. It can be posted to other threads. */
export type MetadataEvent = {
  readonly [Name in keyof MetadataEvents]: { readonly name: Name; readonly about: MetadataEvents[Name][0] };
}[keyof MetadataEvents];

/** Tells a listener of an event of the metadata thread. */
export function tellOf(event: MetadataEvent, listener: StoreListener): void {
  if (event.name === 'low-space') listener.event(event.name, event.about);
  else if (event.name === 'recovered') listener.event(event.name, event.about);
  else listener.event(event.name, event.about);
}

/** Gets the events and the failure of a store. */
export interface StoreListener {
  event<Name extends keyof StoreEvents>(name: Name, ...given: StoreEvents[Name]): void;
  /** The store has failed: from now on every call fails with this error. */
  failed(error: BlobstoreError): void;
}

/** Access to the engine, if it runs on the calling thread. */
export interface EngineAccess {
  store(): Engine;
  blob(handle: number): EngineBlob;
}

export interface StoreParts {
  /** The name of the store in messages, such as "the store". */
  readonly title: string;
  readonly metadata: MetadataPort;
  readonly sync: SyncMetadata;
  readonly data: DataPort;
  readonly shared: SharedStore;
  readonly geometry: Geometry;
  /** The device, as opened on the calling thread. */
  readonly device: BlockDevice;
  readonly damaged: readonly Damage[];
  /** The store was opened with `readOnly`. */
  readonly isReadOnly: boolean;
  /** Undefined if the engine runs on another thread. */
  readonly engine: EngineAccess | undefined;
  /** Returns the channel of this thread for users: always the same. Undefined if other threads transfer the data. */
  readonly channel: (() => Channel) | undefined;
  /** Keeps the process alive while something is under way. Undefined if pending operations do so by themselves. */
  readonly busy: Busy | undefined;
  /** Through this, operations let the event loop run. Undefined if all operations wait for other threads anyway. */
  readonly turns: LoopTurns | undefined;
  /** Returns the current name of a blob. Undefined if this thread knows only the name that it was told last. */
  readonly nameOf: ((id: bigint) => string | undefined) | undefined;
  /** Counts of what is under way on this thread. Each is 0 when the store is idle. For tests. */
  readonly underWay: Readonly<Record<string, number>>;

  /** Why this thread gets no events. Undefined if it gets them. */
  readonly noEvents?: string;
  /** Sets the listener. It also gets, in a later turn of the event loop, events from before. To be called once. */
  listen(listener: StoreListener): void;
  /** Returns the handle by which other threads attach. Throws ENOTSUP if they cannot open the device. */
  share(): StoreHandle;

  /** The store is about to end: operations under way no longer wait until other threads have seen their progress. */
  beginEnd(): void;
  /** 'open' also after `end` has failed without any effect. 'ending' after `end` has failed halfway: call it again. */
  readonly state: 'open' | 'ending' | 'ended';
  /**
   * Ends the store. Its handles must have been closed before, and nothing may be under way.
   * @param failure - the error of a handle that could not be closed. Thrown at the end, unless the store can be left
   * consistent in spite of it
   */
  end(ending: StoreEnding, failure: { readonly error: unknown } | undefined): Promise<void>;
}
