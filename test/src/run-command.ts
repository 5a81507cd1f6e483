/** Runs commands of the workspace in processes, as their users do. */

import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export interface Ran {
  /** The exit status; null when a signal ended the command. */
  code: number | null;
  stdout: string;
  stderr: string;
}

/** @param main The built file, relative to `test/dist`. */
export function runCommandOf(main: string, args: readonly string[]): Promise<Ran> {
  return runFile(fileURLToPath(new URL(`../dist/${main}`, import.meta.url)), args);
}

/** Runs a file by this version of Node.js, with output without colours. */
export function runFile(file: string, args: readonly string[]): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const env = { ...process.env, FORCE_COLOR: undefined, NO_COLOR: '1' };
    const child = spawn(process.execPath, [file, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] });
    const ran: Ran = { code: null, stdout: '', stderr: '' };
    for (const stream of ['stdout', 'stderr'] as const) {
      child[stream].setEncoding('utf8').on('data', (text: string) => {
        ran[stream] += text;
      });
    }
    child.on('error', reject);
    child.on('close', (code) => resolve({ ...ran, code }));
  });
}
