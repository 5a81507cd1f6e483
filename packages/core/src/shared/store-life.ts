/** What a thread that has a channel does about the life of its store: it may end, by its metadata thread's death, at any moment. */
export interface StoreLife {
  /** Before each operation: finds out whether the metadata thread lives, at times. Costs next to nothing. */
  glance(): void;
  /** The same while the thread waits for something, or does what takes longer. */
  look(): void;
  /** An operation has found that the store has ended. */
  ended(): void;
  /** The channel uses the device no more, and is about to give its row back. */
  left(): void;
}
