/** Making and opening stores. */

import { rm } from 'node:fs/promises';
import {
  Blobstore,
  Blob as EngineBlob,
  type InitOptions,
  type LoadedBlob,
  type LoadOptions,
  type Pause,
  run,
} from '@blobyard/core';
import type { CreateStoreOptions, OpenStoreOptions, Store } from './api/store.js';
import { callUser, coded, throwIfAborted } from './failures.js';
import { Catalogue, nameOf } from './inline/catalogue.js';
import { InlineStore } from './inline/inline-store.js';
import { type HeldDevice, holdDevice } from './inline/open-device.js';
import { StoreContext } from './inline/store-context.js';
import { checkCreateStore, checkOpenStore, requestsMaxOf } from './store-options.js';

/** How long opening may go on before other work of the thread gets a turn. */
const SLICE_MS = 8;

/**
 * Makes a new store on a device; what was on it is lost. A file that was made for it goes again when this fails.
 * @throws EINVAL unusable options or block length, ENOSPC the device is smaller than a cluster, ENOMEM its clusters do not
 * even hold the metadata, EBUSY somebody has a store in the file, EEXIST the file is there (`create: true`), ENOTSUP
 * `threads`, ECANCELED aborted, EIO of the device. Any thread.
 */
export async function createStore(options: CreateStoreOptions): Promise<Store> {
  try {
    const init: InitOptions = checkCreateStore(options);
    throwIfAborted(options.signal);
    return await holding(options, async (held) => {
      const blobstore = await run(Blobstore.init(held.device, init));
      return new InlineStore(new StoreContext(blobstore, new Catalogue(), requestsMaxOf(options)), held);
    });
  } catch (error) {
    throw coded(error, 'create a store');
  }
}

/**
 * Opens the store on a device, and recovers it if it was not closed.
 * @throws EILSEQ no store, or a damaged one; ENXIO another type; EBUSY somebody has it, who is named; EINVAL unusable
 * options; ENOSPC it cannot `grow`; ENOTSUP `threads`; ECANCELED aborted; EIO of the device. Any thread.
 */
export async function openStore(options: OpenStoreOptions): Promise<Store> {
  try {
    const load: LoadOptions = checkOpenStore(options);
    throwIfAborted(options.signal);
    return await holding(options, (held) => openOn(held, load, options));
  } catch (error) {
    throw coded(error, 'open a store');
  }
}

/** Opens the device; when what follows fails, it is let go, and a file that was made for it removed. */
async function holding(
  options: CreateStoreOptions | OpenStoreOptions,
  proceed: (held: HeldDevice) => Promise<Store>,
): Promise<Store> {
  const held = await holdDevice(options.device, options.lock ?? true);
  try {
    return await proceed(held);
  } catch (error) {
    await held.release();
    const made = madeFile(options.device);
    if (made !== undefined) await rm(made, { force: true });
    throw error;
  }
}

async function openOn(held: HeldDevice, load: LoadOptions, options: OpenStoreOptions): Promise<Store> {
  const found: { id: bigint; name: string | undefined; clusterCount: number }[] = [];
  const onBlob = (blob: LoadedBlob) => {
    // The engine shows the blob itself, with its xattrs; they are read only now.
    const name = blob instanceof EngineBlob ? nameOf(blob) : undefined;
    found.push({ id: blob.id, name, clusterCount: blob.clusterCount });
  };
  const blobstore = await run(Blobstore.load(held.device, { ...load, onBlob }), pauseUnlessAborted(options.signal));
  try {
    if (options.grow) await run(blobstore.growLive());
    const catalogue = new Catalogue();
    for (const { id, name, clusterCount } of found) {
      catalogue.add(id, name);
      const sizeBytes = clusterCount * blobstore.geometry.clusterBytes;
      if (options.onBlob) callUser('onBlob', options.onBlob, { id, name, sizeBytes });
    }
    return new InlineStore(new StoreContext(blobstore, catalogue, requestsMaxOf(options)), held);
  } catch (error) {
    await run(blobstore.abandon());
    throw error;
  }
}

/** Gives other work of the thread its turns, and ends the opening between two blobs when it is aborted. */
function pauseUnlessAborted(signal: AbortSignal | undefined): Pause {
  let sliceEnd = 0;
  return async () => {
    throwIfAborted(signal);
    if (performance.now() < sliceEnd) return;
    await new Promise((resolve) => setImmediate(resolve));
    sliceEnd = performance.now() + SLICE_MS;
  };
}

function madeFile(device: CreateStoreOptions['device']): string | undefined {
  return 'kind' in device && device.kind === 'file' && device.create ? device.path : undefined;
}
