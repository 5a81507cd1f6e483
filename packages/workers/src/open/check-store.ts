/** Checking and repairing a store that is not open. */

import { type BlockDevice, type CheckReport, checkStore, run } from '@blobyard/core';
import type { DeviceSpec } from '@blobyard/io';
import { coded, throwIfAborted } from '../api/failures.js';
import { checkBooleanOr, checkOptions, checkSignalOr } from '../checks/checks.js';
import { pauseUnlessAborted } from '../data/pause.js';
import { checkDevice, holdDevice } from '../devices/open-device.js';
import { asItsStoreSays } from '../devices/store-blocks.js';

export interface CheckStoreOptions {
  /**
   * Repairs what can be: makes the masks anew, frees what nobody has, settles snapshots that were under way. Who could be read
   * before can be read afterwards, and nobody is listed who was not. Damaged blobs stay as they are, and keep all that they have or
   * may have. False unless given: then nothing is written.
   */
  readonly repair?: boolean;
  /** Whether a file given by its spec is locked against users of the store meanwhile; true unless given. */
  readonly lock?: boolean;
  /** Ends the check with ECANCELED, between two blobs. A repair that is ended leaves the store to be repaired again. */
  readonly signal?: AbortSignal;
}

/**
 * Checks the store on a device from its metadata pages, without trusting its masks: crcs, chains, extents, owners, parents,
 * sizes, flags; and then the masks against that. Whatever is wrong with the store is in the report, also that there is none
 * (`unchecked`).
 * @throws EBUSY somebody has the store open, who is named; EINVAL unusable options or block length; ECANCELED aborted; EIO of
 * the device, and what opening it throws. Any thread.
 */
export async function check(device: DeviceSpec | BlockDevice, options: CheckStoreOptions = {}): Promise<CheckReport> {
  try {
    const { repair, lock, signal } = checkOptions('options of check', options, ['repair', 'lock', 'signal']);
    const steps = { repair: checkBooleanOr('repair', repair, false) };
    throwIfAborted(checkSignalOr(signal));
    const given = asItsStoreSays(checkDevice('device', device));
    const held = await holdDevice(given, checkBooleanOr('lock', lock, true));
    try {
      return await run(checkStore(held.device, steps), pauseUnlessAborted(signal));
    } finally {
      await held.release();
    }
  } catch (error) {
    throw coded(error, 'check a store');
  }
}
