/** The public methods and accessors of an object, found by reflection, so that methods added later are found, too. */

import { EventEmitter } from 'node:events';

/** Names of the methods of an object and its prototypes, without those of `Object` and of Node's event emitter. */
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
