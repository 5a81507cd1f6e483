/** Checks and repairs a store that is not open. */

import { type BlockDevice, type CheckReport, checkStore, run } from '@blobyard/core';
import type { DeviceSpec } from '@blobyard/io';
import type { AbortableOptions } from '../api/abort.js';
import { coded, throwIfAborted } from '../api/failures.js';
import type { StoreLocking } from '../api/store.js';
import { checkBooleanOr, checkOptions, checkSignalOr } from '../checks/checks.js';
import { pauseUnlessAborted } from '../data/pause.js';
import { checkDevice, forReading, holdDevice } from '../devices/open-device.js';
import { checkLock } from './store-options.js';

export interface CheckStoreOptions extends AbortableOptions {
  /**
   * True: repairs the store. It rebuilds the masks, frees leaked clusters and pages, and completes or undoes
   * interrupted snapshots. Every blob that was readable before is readable afterwards, and no blob is listed that was
   * not listed before. Damaged blobs stay as they are, and keep everything that belongs, or may belong, to them.
   * Default false: nothing is written.
   */
  readonly repair?: boolean;
  /**
   * True: reads every metadata page; on a large device that takes long. Default false: as long as nothing is wrong,
   * only the pages are read that may be in use. In a store that was not closed, these are the pages below its
   * high-water mark. In a closed one, they are the pages up to the last one that its masks mark as used, and at least
   * the first 1024. Opening the store does not read more pages than that.
   */
  readonly full?: boolean;
  /**
   * How a file that is given by its spec is locked during the check: see `OpenStoreOptions.lock`. Default: 'exclusive'
   * with `repair`, otherwise 'shared'.
   */
  readonly lock?: StoreLocking | false;
  /** Aborts the check between two blobs. After an aborted repair, the store must be repaired again. */
  readonly signal?: AbortSignal;
}

/**
 * Checks the store on a device. First checks the metadata pages, without trusting the masks: CRCs, chains, extents,
 * owners, parents, sizes, flags. Then compares the masks with what the pages say. The report lists everything that is
 * wrong with the store. If there is no store, or one that this version cannot read, its `outcome` is 'unchecked'. Can
 * be called on any thread.
 * @throws EBUSY the store is open, and the message names by whom; EINVAL invalid options or block
 * length; EIO the device fails; and the errors of opening the device.
 */
export async function check(device: DeviceSpec | BlockDevice, options: CheckStoreOptions = {}): Promise<CheckReport> {
  try {
    const known = ['repair', 'full', 'lock', 'signal'] as const;
    const { repair, full, lock, signal } = checkOptions('options of check', options, known);
    const steps = { repair: checkBooleanOr('repair', repair, false), full: checkBooleanOr('full', full, false) };
    throwIfAborted(checkSignalOr(signal));
    const locking = checkLock(lock, !steps.repair);
    const given = checkDevice('device', device);
    const held = await holdDevice(steps.repair ? given : forReading(given), locking, 'store');
    try {
      return await run(checkStore(held.device, steps), pauseUnlessAborted(signal));
    } finally {
      await held.release();
    }
  } catch (error) {
    throw coded(error, 'check a store');
  }
}
