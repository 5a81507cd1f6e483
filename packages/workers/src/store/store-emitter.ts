/** The events of a store. They use Node's own emitter, so that `events.once` and `events.on` work. */

import { EventEmitter } from 'node:events';
import type { StoreEvents } from '../api/store.js';
import { checkFunction, invalid } from '../checks/checks.js';

/**
 * The store's events, and those of every emitter. `events.once` also listens for 'error', which a store never emits.
 */
const STORE_NAMES = ['low-space', 'worker-lost', 'worker-replaced', 'recovered', 'grown', 'failed'] as const;
const NAMES: readonly unknown[] = [...STORE_NAMES, 'error', 'newListener', 'removeListener'];

type AnyListener = (...given: never[]) => unknown;

/** An emitter that accepts only known events, and listeners that are functions. Throws EINVAL for anything else. */
export class StoreEmitter extends EventEmitter<StoreEvents> {
  readonly #requireEvents: () => void;

  /** @param requireEvents - throws if this thread gets no events, or gets none any more */
  constructor(requireEvents: () => void) {
    super();
    this.#requireEvents = requireEvents;
  }

  override on(name: never, listener: AnyListener): this {
    this.#check(name, listener);
    return super.on(name, listener as never);
  }

  override addListener(name: never, listener: AnyListener): this {
    return this.on(name, listener);
  }

  override once(name: never, listener: AnyListener): this {
    this.#check(name, listener);
    return super.once(name, listener as never);
  }

  override removeListener(name: never, listener: AnyListener): this {
    checkName(name);
    checkFunction('the listener', listener);
    return super.removeListener(name, listener as never);
  }

  override off(name: never, listener: AnyListener): this {
    return this.removeListener(name, listener);
  }

  override prependListener(name: never, listener: AnyListener): this {
    this.#check(name, listener);
    return super.prependListener(name, listener as never);
  }

  override prependOnceListener(name: never, listener: AnyListener): this {
    this.#check(name, listener);
    return super.prependOnceListener(name, listener as never);
  }

  #check(name: unknown, listener: unknown): void {
    checkName(name);
    checkFunction('the listener', listener);
    this.#requireEvents();
  }
}

function checkName(name: unknown): void {
  if (!NAMES.includes(name)) throw invalid('the event', name, STORE_NAMES.map((each) => `'${each}'`).join(' or '));
}

/**
 * Calls the listeners of a store, in the order in which they were added. If one throws, or returns a promise that
 * rejects, a process warning is emitted.
 */
export function tellListeners<Name extends keyof StoreEvents>(
  store: StoreEmitter,
  name: Name,
  ...given: StoreEvents[Name]
): void {
  for (const listener of store.rawListeners(name as never)) void call(store, name, listener as AnyListener, given);
}

/** Calls the listener synchronously. The function is async so that a rejection of an async listener is caught too. */
async function call(
  store: StoreEmitter,
  name: string,
  listener: AnyListener,
  given: readonly unknown[],
): Promise<void> {
  try {
    await listener.apply(store, given as never[]);
  } catch {
    process.emitWarning(
      `a listener of '${name}' threw: its error is ignored; catch it in the listener`,
      'BlobyardWarning',
    );
  }
}
