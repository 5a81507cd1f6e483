/**
 * How a thread with a channel notices the end of its store. The metadata thread can die at any moment, and the store
 * ends with it.
 */
export interface StoreLife {
  /** Called before each operation. Checks now and then whether the metadata thread lives; costs next to nothing. */
  glance(): void;
  /** Does the same check while the thread waits, or during work that takes longer. */
  look(): void;
  /** Called when an operation has found that the store has ended. */
  ended(): void;
  /** Called when the channel no longer uses the device, just before it frees its row. */
  left(): void;
}
