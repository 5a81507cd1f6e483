/** `Symbol.asyncDispose` on every version of Node 20: the first ones do not have it. */

/** The key of `await using`; made if this Node.js has none, so that compiled `await using` finds the same one. */
export const asyncDispose: typeof Symbol.asyncDispose = provide('asyncDispose') as typeof Symbol.asyncDispose;

// TypeScript's `await using` looks for both before it decides that there is nothing to dispose of.
provide('dispose');

function provide(name: 'asyncDispose' | 'dispose'): symbol {
  if (Symbol[name] === undefined) Object.defineProperty(Symbol, name, { value: Symbol.for(`Symbol.${name}`) });
  return Symbol[name];
}
