/** Creates and opens stores. */

import type { InitOptions, LoadOptions } from '@blobyard/core';
import { coded, throwIfAborted } from '../api/failures.js';
import type { CreateStoreOptions, OpenStoreOptions, Store } from '../api/store.js';
import { checkWorkerFiles } from '../checks/worker-files.js';
import { isEmpty, requireNoStore } from '../devices/existing-store.js';
import { type DeviceUse, type HeldDevice, holdDevice } from '../devices/open-device.js';
import { localParts } from '../local/local-parts.js';
import type { LocalStore, LocalStoreOptions } from '../local/local-store.js';
import { createLocal, openLocal } from '../local/open-local.js';
import type { OpenPooledOptions, PooledParts } from '../metadata-thread/open-pooled.js';
import { StoreFace } from '../store/store-face.js';
import {
  checkCreateStore,
  checkOpenStore,
  lowSpaceBytesOf,
  readCreateStore,
  readOpenStore,
  requestsMaxOf,
  syncIntervalMsOf,
  threadsOf,
} from './store-options.js';

/**
 * Creates a store on a device, and opens it. The content of the device is lost; but a store on it is overwritten only
 * with `overwrite: true`. If this fails, a file that was created for the store is removed. Can be called on any thread.
 * @throws EINVAL invalid options or block length; ENOSPC the device is smaller than a cluster; ENOMEM its clusters
 * cannot hold the metadata; EBUSY a store in the file is open; EEXIST the device holds a store, which the message
 * describes, or the file exists already (device spec with `create: true`); ENOTSUP the device cannot be shared by
 * `threads`; EIO the device fails; and the errors of opening the device.
 */
export function createStore(options: CreateStoreOptions): Promise<Store> {
  return createStoreOf(options);
}

/**
 * Opens the store on a device, and recovers it if it was not closed. With `create`, creates it if there is none. Can be
 * called on any thread.
 * @throws EILSEQ there is no store, or it is damaged; ENXIO the store has another type; EBUSY the store is open, and
 * the message names by whom; EINVAL invalid options; ENOSPC the store cannot `grow`, or a new one does not fit; ENOTSUP
 * the device cannot be shared by `threads`, or a newer SPDK made the store with larger metadata pages; EIO the device
 * fails; and the errors of opening the device, such as ENOENT.
 */
export function openStore(options: OpenStoreOptions): Promise<Store> {
  return openStoreOf(options);
}

/** Same as `createStore`. @param parts - replace parts of pool mode; for tests */
export async function createStoreOf(given: CreateStoreOptions, parts?: PooledParts): Promise<Store> {
  try {
    const options = readCreateStore(given);
    const init = checkCreateStore(options);
    threadsOf(options);
    throwIfAborted(options.signal);
    return await holding(options, 'new', async (held) => {
      if (!options.overwrite) await requireNoOther(held);
      return createOn(held, options, init, parts);
    });
  } catch (error) {
    throw coded(error, 'create a store');
  }
}

/** Same as `openStore`. @param parts - replace parts of pool mode; for tests */
export async function openStoreOf(given: OpenStoreOptions, parts?: PooledParts): Promise<Store> {
  try {
    const options = readOpenStore(given);
    const load = checkOpenStore(options);
    const init = options.create ? checkCreateStore(options) : undefined;
    throwIfAborted(options.signal);
    return await holding(options, init ? 'either' : 'store', async (held) => {
      if (init !== undefined && (await isEmpty(held.device))) return createOn(held, options, init, parts);
      return openOn(held, options, load, parts);
    });
  } catch (error) {
    throw coded(error, 'open a store');
  }
}

async function requireNoOther(held: HeldDevice): Promise<void> {
  try {
    await requireNoStore(held.device, 'no store is made');
  } catch (error) {
    held.keepFile();
    throw error;
  }
}

async function createOn(
  held: HeldDevice,
  options: CreateStoreOptions | OpenStoreOptions,
  init: InitOptions,
  parts: PooledParts | undefined,
): Promise<Store> {
  if (threadsOf(options) === 0) return localFace(await createLocal(held, { init, ...commonOf(options) }), options);
  const { openPooled } = await poolMode();
  return openPooled(held, { ...pooledOptions(options), work: { kind: 'create', init }, onBlob: undefined }, parts);
}

async function openOn(
  held: HeldDevice,
  options: OpenStoreOptions,
  load: LoadOptions,
  parts: PooledParts | undefined,
): Promise<Store> {
  const { readOnly = false, grow = false, signal, onBlob } = options;
  if (threadsOf(options) === 0) {
    return localFace(await openLocal(held, { load, readOnly, grow, signal, onBlob, ...commonOf(options) }), options);
  }
  const { openPooled } = await poolMode();
  return openPooled(held, { ...pooledOptions(options), work: { kind: 'open', load, readOnly, grow }, onBlob }, parts);
}

/** Loads pool mode, with comlink. A program whose stores have no threads never loads them. */
function poolMode(): Promise<typeof import('../metadata-thread/open-pooled.js')> {
  return import('../metadata-thread/open-pooled.js');
}

function localFace(store: LocalStore, options: CreateStoreOptions | OpenStoreOptions): Store {
  return new StoreFace(localParts(store, requestsMaxOf(options)));
}

function commonOf(options: CreateStoreOptions | OpenStoreOptions) {
  return {
    lowSpaceBytes: lowSpaceBytesOf(options),
    syncIntervalMs: syncIntervalMsOf(options),
  } satisfies LocalStoreOptions;
}

function pooledOptions(options: CreateStoreOptions | OpenStoreOptions): Omit<OpenPooledOptions, 'work' | 'onBlob'> {
  return {
    device: options.device,
    threads: threadsOf(options),
    files: checkWorkerFiles(options.workers),
    ...commonOf(options),
    findExternal: options.openExternalSnapshot,
    signal: options.signal,
  };
}

/** Opens the device, and calls `proceed`. If that fails, releases the device, and removes a file that was made. */
async function holding(
  options: CreateStoreOptions | OpenStoreOptions,
  use: DeviceUse,
  proceed: (held: HeldDevice) => Promise<Store>,
): Promise<Store> {
  const held = await holdDevice(options.device, options.lock || 'exclusive', use);
  try {
    const store = await proceed(held);
    if (options.keepAlive) held.stayAlive();
    return store;
  } catch (error) {
    await held.giveUp();
    throw error;
  }
}
