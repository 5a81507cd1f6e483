/** What survives a killed process, by durability level. All tests ask here. */

import type { Durability } from '@blobyard/core';

/**
 * Whether all writes that were acknowledged to a killed process are there when the store is opened again, though
 * nothing was flushed.
 * @param namesCacheOwner - true if the device names the owner of its cache (`BlockDevice.cacheOwner`), and this owner
 *   outlives the process
 */
export function keepsAcknowledged(durability: Durability, namesCacheOwner: boolean): boolean {
  return durability === 'process-crash' || namesCacheOwner;
}
