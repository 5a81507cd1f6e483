/** The events of a store, and who listens. A listener never ends what the event is about: what it throws is a warning. */

import type { StoreEvents, StoreListener } from '../api/store.js';
import { checkChoice, checkFunction } from '../checks/checks.js';

type EventName = keyof StoreEvents;

interface Listening {
  readonly listener: (...given: never[]) => unknown;
  readonly isOnce: boolean;
}

const NAMES: readonly [EventName, ...EventName[]] = ['low-space', 'worker-lost', 'worker-replaced'];

export class Listeners {
  readonly #listening: Record<EventName, Listening[]> = { 'low-space': [], 'worker-lost': [], 'worker-replaced': [] };

  /** Throws EINVAL for an event that there is not, and for what is no function. */
  add<Name extends EventName>(name: Name, listener: StoreListener<Name>, isOnce: boolean): void {
    const checked = checkChoice('the event', name, NAMES);
    this.#listening[checked].push({ listener: checkFunction('the listener', listener), isOnce });
  }

  /** Takes a listener away that was added, the last one of those that are equal. */
  remove<Name extends EventName>(name: Name, listener: StoreListener<Name>): void {
    const listening = this.#listening[checkChoice('the event', name, NAMES)];
    const at = listening.findLastIndex((each) => each.listener === checkFunction('the listener', listener));
    if (at >= 0) listening.splice(at, 1);
  }

  /** Calls the listeners, in the order in which they were added. */
  tell<Name extends EventName>(name: Name, ...given: StoreEvents[Name]): void {
    const told = this.#listening[name];
    this.#listening[name] = told.filter(({ isOnce }) => !isOnce);
    for (const { listener } of told) void callListener(name, listener as StoreListener<Name>, given);
  }
}

/** Begins in this same call; an async function, so that listeners that are async are heard to the end. */
async function callListener<Name extends EventName>(
  name: Name,
  listener: StoreListener<Name>,
  given: StoreEvents[Name],
): Promise<void> {
  try {
    await listener(...given);
  } catch {
    process.emitWarning(`a listener of '${name}' threw: the store goes on`, 'BlobyardWarning');
  }
}
