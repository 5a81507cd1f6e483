/** Creates and opens stores in pool mode: starts their threads, and ends them when something fails. */

import type { BlockDevice, InitOptions, LoadOptions } from '@blobyard/core';
import type { DeviceSpec } from '@blobyard/io';
import { callUser, throwIfAborted } from '../api/failures.js';
import type { FindExternalSnapshot, FoundBlob, Store } from '../api/store.js';
import type { WorkerEntries } from '../checks/worker-files.js';
import type { HeldDevice } from '../devices/open-device.js';
import { specForThreads } from '../devices/shareable-device.js';
import { IoThreads } from '../io-pool/io-threads.js';
import { StoreFace } from '../store/store-face.js';
import { type StartDataPlane, startDataPlane } from './data-plane.js';
import type { StorePlan } from './metadata-protocol.js';
import { PoolParts } from './pool-parts.js';
import { ServiceClient } from './service-client.js';
import { entriesFor } from './worker-entries.js';

/** The replaceable parts of pool mode; tests use others. */
export interface PooledParts {
  /** The entry of the metadata worker. */
  metadataWorker(entries: WorkerEntries): URL;
  readonly startDataPlane: StartDataPlane;
}

const PARTS: PooledParts = {
  metadataWorker: ({ metadata }) => metadata,
  startDataPlane,
};

/** The user's options, after they have been checked. */
export interface OpenPooledOptions {
  readonly work:
    | { readonly kind: 'create'; readonly init: InitOptions }
    | { readonly kind: 'open'; readonly load: LoadOptions; readonly readOnly: boolean; readonly grow: boolean };
  /** The device as the user gave it. */
  readonly device: DeviceSpec | BlockDevice;
  readonly threads: number;
  /** The files of the worker threads, if the user names them. */
  readonly files: WorkerEntries | undefined;
  readonly lowSpaceBytes: number | undefined;
  readonly syncIntervalMs: number | undefined;
  readonly findExternal: FindExternalSnapshot | undefined;
  readonly signal: AbortSignal | undefined;
  readonly onBlob: ((blob: FoundBlob) => void) | undefined;
}

/**
 * Creates or opens a store on a device that this thread has open and locked. The store owns the device from then on. If
 * this fails, it has ended all threads that it had started, and the caller must release the device.
 */
export async function openPooled(
  held: HeldDevice,
  options: OpenPooledOptions,
  parts: PooledParts = PARTS,
): Promise<Store> {
  const { threads: workers, signal, findExternal, onBlob } = options;
  const plan = planOf(held, options);
  const entries = entriesFor(plan.device, plan.findsExternal, options.files);
  const metadata = new ServiceClient(parts.metadataWorker(entries), findExternal);
  let threads: IoThreads | undefined;
  try {
    threads = new IoThreads(workers, entries.io);
    const opened = await metadata.follow({ signal }, (followed) => metadata.call('openStore', plan, followed));
    try {
      for (const blob of opened.found) if (onBlob) callUser('onBlob', onBlob, blob);
      throwIfAborted(signal); // the abort may have reached the metadata worker too late
      const beginnings = { client: metadata, held, handle: opened.handle, workers, threads };
      return new StoreFace(await PoolParts.start(beginnings, parts.startDataPlane));
    } catch (error) {
      await Promise.allSettled([metadata.call('abandon')]);
      throw error;
    }
  } catch (error) {
    await threads?.end();
    await metadata.end();
    throw error;
  }
}

function planOf(held: HeldDevice, options: OpenPooledOptions): StorePlan {
  const { work, lowSpaceBytes, syncIntervalMs, findExternal } = options;
  const device = specForThreads(options.device, held.device);
  const { shareWindow } = held;
  const findsExternal = findExternal !== undefined;
  const common = { device, shareWindow, lowSpaceBytes, syncIntervalMs, findsExternal };
  if (work.kind === 'create') {
    const { openExternalSnapshot: _, ...init } = work.init;
    return { ...common, kind: 'create', init };
  }
  const { openExternalSnapshot: _, onBlob: __, ...load } = work.load;
  return { ...common, kind: 'open', load, readOnly: work.readOnly, grow: work.grow };
}
