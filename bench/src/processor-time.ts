/** Processor time of the calling thread and of the whole process. */

import { readFileSync } from 'node:fs';

/** Milliseconds of processor time that the calling thread has used; NaN on systems other than Linux. */
export function threadMs(): number {
  try {
    return Number(readFileSync('/proc/thread-self/schedstat', 'latin1').split(' ')[0]) / 1e6;
  } catch {
    return Number.NaN;
  }
}

/** Milliseconds of processor time that all threads of the process have used. */
export function processMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e3;
}

/** Adds up the processor time of calls. */
export class ProcessorMeter {
  #threadMs = 0;
  #processMs = 0;
  #operations = 0;

  /** Executes a call of `operations` operations. */
  async measure(operations: number, call: () => number | Promise<number>): Promise<number> {
    const [thread, process] = [threadMs(), processMs()];
    const answer = await call();
    this.#threadMs += threadMs() - thread;
    this.#processMs += processMs() - process;
    this.#operations += operations;
    return answer;
  }

  /** Microseconds of processor time per operation, by description. Each description contains `side`. */
  figures(side: string): Record<string, number> {
    const each = 1e3 / this.#operations;
    return {
      [`processor of this thread, ${side}, us`]: this.#threadMs * each,
      [`of the process, ${side}, us`]: this.#processMs * each,
    };
  }
}
