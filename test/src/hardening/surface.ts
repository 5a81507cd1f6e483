/** What an object offers to its users, found by looking: a method that is added later is found, too. */

import { EventEmitter } from 'node:events';

/** Names of the methods of an object, its prototypes' included, up to `Object`'s, and those of Node's emitter, which are its own concern. */
export function methodsOf(object: object): (string | symbol)[] {
  return namesOf(object, (descriptor) => typeof descriptor.value === 'function');
}

/** Names of the accessors of an object and its prototypes. */
export function gettersOf(object: object): (string | symbol)[] {
  return namesOf(object, (descriptor) => descriptor.get !== undefined);
}

function namesOf(object: object, isWanted: (descriptor: PropertyDescriptor) => boolean): (string | symbol)[] {
  const names = new Set<string | symbol>();
  for (
    let at = object;
    at !== Object.prototype && at !== EventEmitter.prototype && at !== null;
    at = Object.getPrototypeOf(at) as object
  ) {
    for (const name of Reflect.ownKeys(at)) {
      const descriptor = Object.getOwnPropertyDescriptor(at, name);
      if (name !== 'constructor' && descriptor !== undefined && isWanted(descriptor)) names.add(name);
    }
  }
  return [...names];
}
