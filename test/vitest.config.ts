import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['src/**/*.test.ts'],
    // A process for each file: the lock of a store, native code and blocking waits on the main thread are the process's
    // own. Tests start threads themselves, so half of the cores do, but never fewer than two.
    pool: 'forks',
    maxWorkers: Math.max(2, Math.floor(availableParallelism() / 2)),
    testTimeout: 60_000,
    hookTimeout: 60_000,
    teardownTimeout: 60_000,
    // Built files run exactly as Node.js loads them, in the test's thread as in every worker.
    server: { deps: { external: [/\/dist\/.*\.js$/] } },
  },
});
