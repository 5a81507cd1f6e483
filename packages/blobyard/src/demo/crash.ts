/** Kills a process while it writes. */

import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** The process is killed when at least this many records are durable. */
const DURABLE_MIN = 1000;

/** Starts the writer, and kills it (SIGKILL) while it writes. Returns how many records it had reported as durable. */
export async function crashWriter(storePath: string): Promise<number> {
  const program = fileURLToPath(new URL('./writer-process.js', import.meta.url));
  const writer = fork(program, [storePath], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const ended = new Promise<NodeJS.Signals | null>((resolve) => writer.once('exit', (_, signal) => resolve(signal)));
  try {
    const durable = await durableRecords(writer, ended);
    writer.kill('SIGKILL');
    if ((await ended) !== 'SIGKILL')
      throw new Error('the writer process ended before it was killed: see its output above');
    return durable();
  } finally {
    writer.kill('SIGKILL');
  }
}

/** Resolves when enough records are durable. The promise is for a function that returns the number reported last. */
function durableRecords(writer: ChildProcess, ended: Promise<unknown>): Promise<() => number> {
  let durable = 0;
  return new Promise((resolve, reject) => {
    writer.on('message', (message) => {
      durable = (message as { durable: number }).durable;
      if (durable >= DURABLE_MIN) resolve(() => durable);
    });
    writer.once('error', reject);
    void ended.then(() => reject(new Error('the writer process ended by itself: see its output above')));
  });
}
