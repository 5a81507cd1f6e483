import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

/** Tests that run in each mode of a store. */
const IN_EACH_MODE = 'src/{api,hardening}/**/*.test.ts';

export default defineConfig({
  test: {
    // A process for each file: the lock of a store, native code and blocking waits on the main thread are the process's
    // own. Tests start threads themselves, so half of the cores do, but never fewer than two.
    pool: 'forks',
    maxWorkers: Math.max(2, Math.floor(availableParallelism() / 2)),
    testTimeout: 60_000,
    hookTimeout: 60_000,
    teardownTimeout: 60_000,
    // Built files run exactly as Node.js loads them, in the test's thread as in every worker.
    server: { deps: { external: [/\/dist\/.*\.js$/] } },
    projects: [
      { extends: true, test: { name: 'inline', include: ['src/**/*.test.ts'] } },
      { extends: true, test: { name: 'pooled', include: [IN_EACH_MODE], env: { BLOBYARD_MODE: 'pooled' } } },
      {
        extends: true,
        test: { name: 'attached', include: ['src/api/**/*.test.ts'], env: { BLOBYARD_MODE: 'attached' } },
      },
    ],
  },
});
