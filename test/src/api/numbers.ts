/** Random numbers that a seed decides, for tests and their threads. */

/** Whole numbers from 0 to below `limit`, in an order that the seed decides. */
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
