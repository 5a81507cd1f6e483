/** What a killed process leaves, by level: the one place that the tests ask. */

import type { Durability } from '@blobyard/core';

const KEEPS_ACKNOWLEDGED: Readonly<Record<Durability, boolean>> = {
  'power-loss': false, // the first write of a cluster is lost unless a sync or flush came after it
  'process-crash': true,
};

/** Whether everything is there that was acknowledged to a process that was killed, without any flush. */
export function keepsAcknowledged(durability: Durability): boolean {
  return KEEPS_ACKNOWLEDGED[durability];
}
