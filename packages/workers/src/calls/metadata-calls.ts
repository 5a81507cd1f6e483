/** Both sides of the metadata port over messages, for the client of a metadata worker and for attached threads. */

import type { BlockDevice } from '@blobyard/core';
import type { DeviceSpec } from '@blobyard/io';
import type { BlobInfo } from '../api/blob.js';
import { InfoObject } from '../api/info-object.js';
import type { CopyOptions, LongWorkOptions } from '../api/long-work.js';
import { FlushRounds } from '../data/flush-rounds.js';
import { isDevice } from '../devices/open-device.js';
import { shareable } from '../devices/shareable-device.js';
import type { MetadataPort } from '../ports/metadata-port.js';
import type { ClientCallbacks } from './client-callbacks.js';
import type { Answer, Given, MethodOf } from './envelopes.js';
import type { Followed } from './service-events.js';

/** Methods that are passed on unchanged. */
const PLAIN = [
  'create',
  'open',
  'delete',
  'has',
  'stat',
  'rename',
  'blobs',
  'someBlobs',
  'stats',
  'getSuperBlob',
  'setSuperBlob',
  'grow',
  'flush',
  'dump',
  'info',
  'clones',
  'snapshot',
  'snapshotAll',
  'clone',
  'resize',
  'setReadOnly',
  'syncBlob',
  'flushBlob',
  'getXattr',
  'getXattrText',
  'listXattrs',
  'changeXattrs',
  'closeHandle',
] as const satisfies readonly (keyof MetadataPort)[];

type PlainMethods = Pick<MetadataPort, (typeof PLAIN)[number]>;

/** The methods in message form: long work takes a `Followed` in place of callbacks, and devices are given as specs. */
export interface MetadataCalls extends PlainMethods {
  inflate(handle: number, followed: Followed): Promise<void>;
  decouple(handle: number, followed: Followed): Promise<void>;
  copyTo(
    handle: number,
    device: DeviceSpec,
    how: Pick<CopyOptions, 'own' | 'overwrite'>,
    followed: Followed,
  ): Promise<number>;
}

/** How a client calls methods of the metadata thread. */
export interface MetadataCaller {
  call<Name extends MethodOf<MetadataCalls>>(
    name: Name,
    ...given: Given<MetadataCalls, Name>
  ): Promise<Answer<MetadataCalls, Name>>;
  /** Runs a call of long work; see `FollowedCalls.follow`. */
  follow<T>(options: LongWorkOptions, begin: (followed: Followed) => Promise<T>): Promise<T>;
}

type AnyMethod = (...given: unknown[]) => Promise<unknown>;

function methods(make: (name: (typeof PLAIN)[number]) => AnyMethod): PlainMethods {
  return Object.fromEntries(PLAIN.map((name) => [name, make(name)])) as unknown as PlainMethods;
}

/**
 * The metadata thread's side.
 * @param port - returns the client's metadata port; called at each call
 * @param callbacks - report the progress of long work to the client
 */
export function metadataCalls(port: () => MetadataPort, callbacks: ClientCallbacks): MetadataCalls {
  return {
    ...methods(
      (name) =>
        async (...given) =>
          (port()[name] as AnyMethod)(...given),
    ),
    inflate: (handle, followed) => callbacks.follow(followed, (options) => port().inflate(handle, options)),
    decouple: (handle, followed) => callbacks.follow(followed, (options) => port().decouple(handle, options)),
    copyTo: (handle, device, how, followed) =>
      callbacks.follow(followed, (options) => port().copyTo(handle, device, { ...options, ...how })),
  };
}

/**
 * The client's side. Flushes of one blob, or of the store, become one call if they are requested before the code that
 * runs now and its microtasks have ended.
 */
export function metadataByCalls(caller: MetadataCaller): MetadataPort {
  const call = caller.call.bind(caller) as unknown as (name: string, ...given: unknown[]) => Promise<unknown>;
  const flushes = new FlushRounds<number | 'store'>();
  const flush = (of: number | 'store', send: () => Promise<void>) =>
    flushes.share(of, async (begin) => {
      await afterMicrotasks();
      begin();
      await send();
    });
  return {
    ...methods(
      (name) =>
        (...given) =>
          call(name, ...given),
    ),
    blobs: async (filter) => asInfoObjects(await caller.call('blobs', filter)),
    someBlobs: async (from, filter) => {
      const { infos, next } = await caller.call('someBlobs', from, filter);
      return { infos: asInfoObjects(infos), next };
    },
    stat: async (address) => new InfoObject(await caller.call('stat', address)),
    info: async (handle) => new InfoObject(await caller.call('info', handle)),
    flush: () => flush('store', () => caller.call('flush')),
    flushBlob: (handle) => flush(handle, () => caller.call('flushBlob', handle)),
    inflate: (handle, options) => caller.follow(options, (followed) => caller.call('inflate', handle, followed)),
    decouple: (handle, options) => caller.follow(options, (followed) => caller.call('decouple', handle, followed)),
    copyTo: (handle, device, options) =>
      caller.follow(options, async (followed) => {
        const spec = await specOf(device);
        const { own, overwrite } = options;
        return caller.call('copyTo', handle, spec, { own, overwrite }, followed);
      }),
  };
}

/** Replaces infos in place, because lists can be long. */
function asInfoObjects(infos: BlobInfo[]): BlobInfo[] {
  for (let at = 0; at < infos.length; at++) infos[at] = new InfoObject(infos[at]);
  return infos;
}

/** Resolves when the code that awaits promises that are settled already has run. */
function afterMicrotasks(): Promise<void> {
  return Promise.resolve().then(() => new Promise((resolve) => process.nextTick(resolve)));
}

/** The spec with which the metadata thread opens a device. */
async function specOf(device: DeviceSpec | BlockDevice): Promise<DeviceSpec> {
  return isDevice(device) ? (await shareable(device)).spec : device;
}
