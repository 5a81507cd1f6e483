/**
 * Holds clones open while blobs are opened one after another. Opening a clone opens all snapshots behind it. Without
 * this, a line of a thousand snapshots would be opened a thousand times.
 */

import type { Blob } from '../blob/blob.js';
import { dropReference } from '../metadata/open-close.js';
import type { StoreState } from '../state/store-state.js';
import type { Steps } from '../steps/steps.js';

/**
 * The most clones that are held, and the most entries that their cluster maps have together. At either limit all clones
 * are released.
 */
const HELD_MAX = 4096;
const HELD_ENTRIES_MAX = 2 ** 22;

export class HeldClones {
  readonly #store: StoreState;
  #held: Blob[] = [];
  #entryCount = 0;

  constructor(store: StoreState) {
    this.#store = store;
  }

  /** Takes over a reference to a blob, and releases it now or later. */
  *hold(blob: Blob): Steps<void> {
    if (!blob.isClone) return yield* dropReference(this.#store, blob);
    if (this.#held.length >= HELD_MAX || this.#entryCount > HELD_ENTRIES_MAX) yield* this.release();
    this.#held.push(blob);
    this.#entryCount += blob.clusterCount;
  }

  /** Releases all references. */
  *release(): Steps<void> {
    const held = this.#held;
    this.#held = [];
    this.#entryCount = 0;
    for (const blob of held) yield* dropReference(this.#store, blob);
  }
}
