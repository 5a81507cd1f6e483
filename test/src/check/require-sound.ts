/** A check that must find no damage. What a crash leaves is not damage. */

import { type BlockDevice, type CheckReport, checkStore, type FindingKind, type Steps } from '@blobyard/core';

/** Throws if a check of the store on a device finds damage of a kind that is not allowed. */
export function* requireSound(
  device: BlockDevice,
  when: string,
  allowed: readonly FindingKind[] = [],
): Steps<CheckReport> {
  const report = yield* checkStore(device);
  const damage = report.findings.find(({ severity, kind }) => severity === 'damage' && !allowed.includes(kind));
  if (damage) throw new Error(`check finds ${when}: ${damage.message} (of ${report.summary?.blobCount ?? 0} blobs)`);
  return report;
}
