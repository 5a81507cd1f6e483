/** What answers reads of a cluster that a thin blob has not allocated. */

import type { Backing } from './blob.js';

export const ZEROES: Backing = { kind: 'zeroes' };

/** True when a cluster that is not allocated may read as something else than zeroes with this behind it. */
export function showsData(back: Backing | undefined, cluster: number): boolean {
  let at = back;
  while (at?.kind === 'blob') {
    if (cluster >= at.blob.clusterCount) return false; // past the end of a snapshot are zeroes, whatever is behind it
    if (at.blob.clusterAt(cluster) !== 0) return true;
    at = at.blob.back;
  }
  return at?.kind === 'external';
}
