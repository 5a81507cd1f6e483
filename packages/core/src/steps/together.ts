/** Runs several operations at the same time. */

import { run, runSync } from './run.js';
import { type Steps, waitFor } from './steps.js';

/** The most operations of one call that are under way together. */
const TOGETHER_MAX = 64;

/**
 * Runs all operations, even if some fail, and then throws the first error. In promise form up to 64 (`TOGETHER_MAX`)
 * are under way together, so that they share write barriers; in synchronous form they run one after another.
 */
export function* runTogether<T>(inputs: readonly T[], operation: (input: T) => Steps<void>): Steps<void> {
  let failure: { readonly error: unknown } | undefined;
  function* attempt(input: T): Steps<void> {
    try {
      yield* operation(input);
    } catch (error) {
      failure ??= { error };
    }
  }
  for (let at = 0; at < inputs.length; at += TOGETHER_MAX) {
    const some = inputs.slice(at, at + TOGETHER_MAX);
    yield* waitFor({
      promise: async () => void (await Promise.all(some.map((input) => run(attempt(input))))),
      block: () => {
        for (const input of some) runSync(attempt(input));
      },
    });
    yield undefined;
  }
  if (failure) throw failure.error;
}
