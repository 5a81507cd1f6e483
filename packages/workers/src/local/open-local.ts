/** Creates and opens stores on the calling thread, on a device that is open already. */

import {
  Blobstore,
  Blob as EngineBlob,
  type InitOptions,
  type LoadedBlob,
  type LoadOptions,
  run,
} from '@blobyard/core';
import { callUser, throwIfAborted } from '../api/failures.js';
import type { FoundBlob } from '../api/store.js';
import { NAME_XATTR } from '../checks/xattr-values.js';
import { pauseUnlessAborted } from '../data/pause.js';
import { type HeldDevice, viewOf } from '../devices/open-device.js';
import { isLvolstore, namingOf } from './blob-naming.js';
import { Catalogue } from './catalogue.js';
import { LocalStore, type LocalStoreOptions } from './local-store.js';
import { rowService } from './row-service.js';
import { StoreContext, superBlobOf } from './store-context.js';

export interface CreateLocalOptions extends LocalStoreOptions {
  readonly init: InitOptions;
}

/** How many blobs are named between two pauses: about a millisecond of work. */
const NAMES = 1024;

export interface OpenLocalOptions extends LocalStoreOptions {
  readonly load: LoadOptions;
  /** Nothing is written: see `OpenStoreOptions.readOnly`. */
  readonly readOnly?: boolean;
  readonly grow?: boolean;
  readonly signal?: AbortSignal;
  readonly onBlob?: (blob: FoundBlob) => void;
}

/** Creates a store, which owns the device from then on. Throws as `createStore`. */
export async function createLocal(held: HeldDevice, options: CreateLocalOptions): Promise<LocalStore> {
  const blobstore = await run(Blobstore.init(held.device, options.init));
  return new LocalStore(new StoreContext(blobstore, newCatalogue(blobstore)), held, rowService, options);
}

/** Opens the store on a device, and owns the device from then on. Throws as `openStore`. */
export async function openLocal(held: HeldDevice, options: OpenLocalOptions): Promise<LocalStore> {
  const found: { id: bigint; nameBytes: Uint8Array | undefined; clusterCount: number }[] = [];
  const onBlob = (blob: LoadedBlob) => {
    // The engine passes the loaded blob itself; its xattrs can only be read during this call.
    const nameBytes = blob instanceof EngineBlob ? blob.xattrs.get(NAME_XATTR) : undefined;
    found.push({ id: blob.id, nameBytes, clusterCount: blob.clusterCount });
  };
  const onRestart = () => {
    found.length = 0;
  };
  const load = { ...options.load, onBlob, onRestart };
  const begun = performance.now();
  const device = options.readOnly ? viewOf(held.device) : held.device;
  const blobstore = await run(Blobstore.load(device, load), pauseUnlessAborted(options.signal));
  try {
    if (options.readOnly) blobstore.refuseWrites();
    if (options.grow) await run(blobstore.growLive());
    const catalogue = newCatalogue(blobstore);
    const naming = namingOf(blobstore);
    for (const [at, { id, nameBytes, clusterCount }] of found.entries()) {
      if (at % NAMES === NAMES - 1) await pauseUnlessAborted(options.signal)();
      const name = nameBytes && naming.nameIn(nameBytes);
      catalogue.add(id, name);
      const sizeBytes = clusterCount * blobstore.geometry.clusterBytes;
      if (options.onBlob) callUser('onBlob', options.onBlob, { id, name, sizeBytes });
    }
    throwIfAborted(options.signal); // no pause came after the abort
    const recovered = blobstore.wasRecovered
      ? { tookMs: performance.now() - begun, blobCount: catalogue.size }
      : undefined;
    return new LocalStore(new StoreContext(blobstore, catalogue), held, rowService, { ...options, recovered });
  } catch (error) {
    await run(blobstore.abandon());
    throw error;
  }
}

/**
 * The super blob of an lvolstore has the name of the store. A volume may have the same name, so it does not count as
 * one.
 */
function newCatalogue(blobstore: Blobstore): Catalogue {
  return new Catalogue(isLvolstore(blobstore) ? (id) => id === superBlobOf(blobstore) : undefined);
}
