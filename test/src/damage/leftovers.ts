/** Mutations that put leftovers of deleted blobs and copies of pages into free places, or move a mask onto data. */

import type { Choices } from '../random.js';
import { PAGE_BYTES } from './base-image.js';
import type { Victim } from './mutations.js';

/** Offsets in the super block, in bytes, of the first pages of the masks of pages, clusters and blob ids. */
const MASK_STARTS = [32, 40, 72];

/** Applies one to three of these mutations to an image. */
export function leaveBehind(victim: Victim, random: Choices): void {
  for (let left = 1 + random.below(3); left > 0; left--) {
    const what = random.below(12);
    if (what === 0) moveMask(victim, random);
    else if (what < 5 && victim.base.deleted.size > 0) revive(victim, random);
    else copyRoot(victim, random);
  }
}

/** Restores the root of a deleted blob, and maybe its other pages, as if the writes that zeroed them were lost. */
function revive(victim: Victim, random: Choices): void {
  const { base, bytes, log } = victim;
  const isWhole = random.below(2) === 0;
  for (const [page, content] of base.deleted) {
    const target = victim.at(page);
    if (bytes.subarray(target, target + PAGE_BYTES).some((byte) => byte !== 0)) continue;
    bytes.set(content, target);
    log.push(`page ${page} as it was before it was deleted`);
    if (!isWhole) return;
  }
}

/** Copies a blob's root into a free page, as the root of that page's blob. */
function copyRoot(victim: Victim, random: Choices): void {
  const { base, bytes, view, log } = victim;
  const isZero = (page: number) =>
    bytes.subarray(victim.at(page), victim.at(page) + PAGE_BYTES).every((byte) => byte === 0);
  const free = Array.from({ length: base.mdPageCount }, (_, page) => page).filter(isZero);
  const busy = base.busyPages.filter((page) => view.getUint32(victim.at(page), true) === page);
  const roots = busy.length > 0 && random.below(4) > 0 ? busy : base.blobs.map(({ pages }) => pages[0]);
  const from = roots[random.below(roots.length)];
  const to = free[random.below(free.length)];
  bytes.copyWithin(victim.at(to), victim.at(from), victim.at(from) + PAGE_BYTES);
  view.setUint32(victim.at(to), to, true);
  if (random.below(4) === 0) bytes.fill(0, victim.at(from), victim.at(from) + PAGE_BYTES);
  victim.seal(victim.at(to));
  log.push(`root ${from} copied to page ${to}`);
}

/** Moves a mask to the data of a blob. */
function moveMask(victim: Victim, random: Choices): void {
  const { base, view, log } = victim;
  const clusters = base.blobs.flatMap((blob) => blob.clusters);
  const page = clusters[random.below(clusters.length)];
  view.setUint32(MASK_STARTS[random.below(MASK_STARTS.length)], page, true);
  victim.seal(0);
  log.push(`a mask from page ${page} on`);
}
