/** What a killed process leaves, by level: the one place that the tests ask. */

import type { Durability } from '@blobyard/core';

/**
 * Whether everything is there that was acknowledged to a process that was killed, without any flush.
 * @param namesCacheOwner - the device says who keeps what was not flushed, and that outlives the process
 */
export function keepsAcknowledged(durability: Durability, namesCacheOwner: boolean): boolean {
  return durability === 'process-crash' || namesCacheOwner;
}
