/** Processes that leave no processor idle, as neighbours of a service in a container do. */

import { type ChildProcess, spawn } from 'node:child_process';
import { availableParallelism } from 'node:os';

/** Starts one such process for each processor. Returns the function that ends them; they also end with this process. */
export function keepBusy(): () => void {
  // A process that never returns to its event loop gets no event when its parent ends, so it looks at the parent's id.
  const loop = 'const parent = process.ppid; for (;;) if (process.ppid !== parent) process.exit();';
  const children: ChildProcess[] = Array.from({ length: availableParallelism() }, () =>
    spawn(process.execPath, ['-e', loop], { stdio: 'ignore' }),
  );
  const end = () => {
    for (const child of children) child.kill();
    process.off('exit', end);
  };
  process.on('exit', end);
  return end;
}
