/** Kills a process in the middle of its writing. */

import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** Records that are to be durable before the process is killed. */
const DURABLE_MIN = 1000;

/** Starts the writer, kills it (SIGKILL) while it goes on writing, and answers how many records it had said were durable. */
export async function crashWriter(storePath: string): Promise<number> {
  const program = fileURLToPath(new URL('./writer-process.js', import.meta.url));
  const writer = fork(program, [storePath], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const ended = new Promise<NodeJS.Signals | null>((resolve) => writer.once('exit', (_, signal) => resolve(signal)));
  try {
    const durable = await durableRecords(writer, ended);
    writer.kill('SIGKILL');
    if ((await ended) !== 'SIGKILL') throw new Error('the writer ended before it was killed');
    return durable();
  } finally {
    writer.kill('SIGKILL');
  }
}

/** Resolves when enough is durable; answers how many are by then, also those of messages still to come. */
function durableRecords(writer: ChildProcess, ended: Promise<unknown>): Promise<() => number> {
  let durable = 0;
  return new Promise((resolve, reject) => {
    writer.on('message', (message) => {
      durable = (message as { durable: number }).durable;
      if (durable >= DURABLE_MIN) resolve(() => durable);
    });
    writer.once('error', reject);
    void ended.then(() => reject(new Error('the writer ended by itself')));
  });
}
