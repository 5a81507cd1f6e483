/** Provides `Symbol.asyncDispose`, which the first versions of Node 20 do not have. */

/**
 * The key of `await using`. Defined here if this Node.js does not have it, so that compiled `await using` finds the
 * same key.
 */
export const asyncDispose: typeof Symbol.asyncDispose = provide('asyncDispose') as typeof Symbol.asyncDispose;

// Compiled `await using` looks up both keys before it reports that a value is not disposable.
provide('dispose');

function provide(name: 'asyncDispose' | 'dispose'): symbol {
  if (Symbol[name] === undefined) Object.defineProperty(Symbol, name, { value: Symbol.for(`Symbol.${name}`) });
  return Symbol[name];
}
