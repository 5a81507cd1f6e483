/** What is done for open stores when their process, or their worker thread, ends in good order. */

/** What an open store does at the end. */
export interface AtEnd {
  /** The event loop has nothing more to do; what this promises is waited for. Called once at most. */
  beforeExit(): Promise<void>;
  /** The process, or the thread, ends now: `process.exit`, or an exception that nobody caught. Absent: nothing can be done. */
  exit?(): void;
}

const stores = new Set<AtEnd>();
const asked = new WeakSet<AtEnd>();

/** Calls what a store does at the end, until the answer is called. Errors go nowhere: who wants to hear them closes the store. */
export function atProcessEnd(store: AtEnd): () => void {
  if (stores.size === 0) {
    process.on('beforeExit', beforeExit);
    process.on('exit', exit);
  }
  stores.add(store);
  return () => {
    if (!stores.delete(store) || stores.size > 0) return;
    process.off('beforeExit', beforeExit);
    process.off('exit', exit);
  };
}

/** The event comes again when what was begun here has ended: each store is asked once. */
function beforeExit(): void {
  for (const store of stores) {
    if (asked.has(store)) continue;
    asked.add(store);
    store.beforeExit().catch(() => undefined);
  }
}

function exit(): void {
  for (const store of stores) {
    try {
      store.exit?.();
    } catch {
      // nobody is left to hear it
    }
  }
}
