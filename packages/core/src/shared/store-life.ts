/**
 * How a thread with a channel notices the end of its store. The metadata thread can die at any moment, and the store
 * ends with it.
 */
export interface StoreLife {
  /** Called before each operation. Counts the calls, and makes the check of `look` only after many of them. */
  glance(): void;
  /** Checks whether the metadata thread lives. Called while the thread waits, and during long work. */
  look(): void;
  /** Called when an operation has found that the store has ended. */
  ended(): void;
  /** Called when the channel no longer uses the device, just before it frees its row. */
  left(): void;
}
