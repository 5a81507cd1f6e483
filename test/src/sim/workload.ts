/** Decides which operation starts next. */

import { startClose, startOpen, startReadOnly, startResize, startSync, startXattr } from './blob-operations.js';
import { startTransfer } from './data-operations.js';
import { startClone, startCreate, startDelete, startIndependence, startSnapshot } from './family-operations.js';
import { startFlush, startGrow, startSetSuper } from './store-operations.js';
import type { World } from './world.js';

/** Starts an operation, or returns false if it is not possible now. */
export type Starter = (world: World) => boolean;

const WEIGHTS: readonly (readonly [Starter, number])[] = [
  [startTransfer, 40],
  [startOpen, 14],
  [startCreate, 9],
  [startDelete, 6],
  [startSnapshot, 8],
  [startClone, 4],
  [startIndependence, 4],
  [startResize, 6],
  [startXattr, 4],
  [startSync, 8],
  [startReadOnly, 1],
  [startClose, 4],
  [startFlush, 2],
  [startSetSuper, 1],
  [startGrow, 1],
];

const STARTERS: readonly Starter[] = WEIGHTS.flatMap(([starter, weight]) => Array<Starter>(weight).fill(starter));
const ATTEMPTS = 4;

export function startSomething(world: World): boolean {
  if (world.scheduler.underWay >= world.configuration.operationsMax) return false;
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const starter = STARTERS[world.random.below(STARTERS.length)];
    if (!starter(world)) continue;
    world.lastStarter = starter;
    return true;
  }
  return false;
}

/** A random kind of operation. All kinds are equally likely. */
export function drawStarter(world: World): Starter {
  return WEIGHTS[world.random.below(WEIGHTS.length)][0];
}
