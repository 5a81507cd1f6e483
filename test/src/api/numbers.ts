/** Pseudo-random numbers, the same for the same seed, for tests and their threads. */

/** Returns a function whose calls return the pseudo-random integers of a seed, from 0 to `limit` - 1. */
export function numbers(seed: number): (limit: number) => number {
  let state = seed >>> 0 || 1;
  return (limit) => {
    state ^= state << 13;
    state >>>= 0;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state % limit;
  };
}
