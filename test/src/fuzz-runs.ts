/**
 * How many runs a random test does. It is a number and not a time, so that a slow machine tests as much as a fast one.
 * The environment variable `BLOBYARD_FUZZ_RUNS` replaces the number that `npm test` uses, for a longer run. The seed is
 * a different one each time, and fast-check prints it with a failure; `BLOBYARD_FUZZ_SEED` sets it.
 */

const { BLOBYARD_FUZZ_RUNS, BLOBYARD_FUZZ_SEED } = process.env;

export const FUZZ_TIMEOUT_MS = BLOBYARD_FUZZ_RUNS === undefined ? 300_000 : 0; // 0: no time limit

export function fuzzRuns(usually: number): { numRuns: number; seed?: number } {
  return {
    numRuns: Number(BLOBYARD_FUZZ_RUNS ?? usually),
    ...(BLOBYARD_FUZZ_SEED === undefined ? {} : { seed: Number(BLOBYARD_FUZZ_SEED) }),
  };
}
