/** Runs a benchmark in a process of its own; see child.ts. */

import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Scale } from './benchmark.js';
import type { Measurement } from './measure.js';

const CHILD = fileURLToPath(new URL('./child.js', import.meta.url));
/** Time limit of a benchmark, in milliseconds. No benchmark needs so long; one that hangs must not block the others. */
const CHILD_MS_MAX = 180_000;
const STDERR = 2;

/**
 * Measures a benchmark in a child process. The output of that process goes to standard error. Rejects if the process
 * cannot be started, fails, or exceeds the time limit.
 */
export function measureInChild(name: string, scale: Scale): Promise<Measurement> {
  return new Promise((resolve, reject) => {
    const child = fork(CHILD, [name, scale], { stdio: ['ignore', STDERR, STDERR, 'ipc'], timeout: CHILD_MS_MAX });
    let measurement: Measurement | undefined;
    child.on('message', (message) => {
      measurement = message as unknown as Measurement;
    });
    child.once('error', reject);
    child.once('exit', (status, signal) => {
      if (status === 0 && measurement) resolve(measurement);
      else reject(new Error(`the process of ${name} ended with ${signal ?? `status ${status}`} and without a result`));
    });
  });
}
