/** What the unallocated clusters of a thin blob read as. */

import type { Backing } from './blob.js';

export const ZEROES: Backing = { kind: 'zeroes' };

/** True when an unallocated cluster of a blob with this backing may read as something other than zeroes. */
export function showsData(back: Backing | undefined, cluster: number): boolean {
  let at = back;
  while (at?.kind === 'blob') {
    if (cluster >= at.blob.clusterCount) return false; // past the end of a snapshot everything reads as zeroes
    if (at.blob.clusterAt(cluster) !== 0) return true;
    at = at.blob.back;
  }
  return at?.kind === 'external';
}
