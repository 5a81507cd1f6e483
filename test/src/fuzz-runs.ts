/**
 * How much a random test does, by number and not by time, so that a slow machine tests as much as a fast one.
 * `BLOBYARD_FUZZ_RUNS` takes the place of the number that `npm test` uses, for as long a run as one likes; the seed is another
 * one each time, which fast-check prints with a failure, unless `BLOBYARD_FUZZ_SEED` says one.
 */

const { BLOBYARD_FUZZ_RUNS, BLOBYARD_FUZZ_SEED } = process.env;

export const FUZZ_TIMEOUT_MS = BLOBYARD_FUZZ_RUNS === undefined ? 300_000 : 0; // 0: none

export function fuzzRuns(usually: number): { numRuns: number; seed?: number } {
  return {
    numRuns: Number(BLOBYARD_FUZZ_RUNS ?? usually),
    ...(BLOBYARD_FUZZ_SEED === undefined ? {} : { seed: Number(BLOBYARD_FUZZ_SEED) }),
  };
}
