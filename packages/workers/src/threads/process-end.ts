/** Calls the callbacks of open stores when their process, or their worker thread, ends without being killed. */

/** The callbacks of an open store. */
export interface AtEnd {
  /** The event loop has nothing more to do. The process waits for the promise. Called at most once. */
  beforeExit(): Promise<void>;
  /**
   * The process, or the thread, ends now: by `process.exit`, or an uncaught exception. Absent if nothing can be done.
   */
  exit?(): void;
}

const stores = new Set<AtEnd>();
const asked = new WeakSet<AtEnd>();

/**
 * Registers the callbacks of a store. Returns a function that unregisters them. Errors of the callbacks are ignored; to
 * get errors, close the store.
 */
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

/**
 * Node.js emits the event again after the work that was started here has ended. So each store's callback is called only
 * the first time.
 */
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
      // the process ends: the error cannot be reported
    }
  }
}
