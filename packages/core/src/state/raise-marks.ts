/**
 * Raises the high-water marks (`high-water.ts`) on disk, before something above them is written. Both marks are on one
 * page; its writes never overlap, and callers that arrive during a write share the next one. Metadata thread.
 */

import { ENDED, type Steps } from '../steps/steps.js';
import type { MdPage } from '../units/units.js';
import { raiseOnce } from './high-water.js';
import type { StoreState } from './store-state.js';
import { markDirty } from './super-block-io.js';

/** Ensures that the mark on disk is above a claimed cluster, before the cluster is given data. */
export function raiseHighWater(store: StoreState, cluster: number): Steps<void> {
  return cluster < store.shared.highWater ? ENDED : raiseHighWaterAbove(store, cluster);
}

function* raiseHighWaterAbove(store: StoreState, cluster: number): Steps<void> {
  const { shared, highWaterWrites } = store;
  yield* markDirty(store); // while the super block says clean, this place must hold a mask
  while (cluster >= shared.highWater) yield* highWaterWrites.run(() => raiseOnce(store, cluster + 1, 0));
}

/** Ensures that the mark on disk is above metadata pages, before they are written. */
export function raiseMdPageMark(store: StoreState, pages: readonly MdPage[]): Steps<void> {
  let end = 0;
  for (const page of pages) end = Math.max(end, page + 1);
  return end <= store.mdPageMark ? ENDED : raiseMdPageMarkTo(store, end);
}

function* raiseMdPageMarkTo(store: StoreState, end: number): Steps<void> {
  yield* markDirty(store); // while the super block says clean, this place must hold a mask
  while (end > store.mdPageMark) yield* store.highWaterWrites.run(() => raiseOnce(store, 0, end));
}
