/** Runs the command `blobyard` in a process, as users do. */

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export const MAIN = fileURLToPath(new URL('../../../packages/blobyard/dist/cli/main.js', import.meta.url));

export interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** The ids of the user and the group of a process. Default: those of this process. */
export interface Identity {
  readonly uid?: number;
  readonly gid?: number;
}

export function blobyard(...args: readonly string[]): Ended {
  return blobyardAs({}, ...args);
}

export function blobyardAs(identity: Identity, ...args: readonly string[]): Ended {
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...args], { encoding: 'utf8', ...identity });
  return { status, stdout, stderr };
}

/** Executes an action. Returns true if a file has the same bytes afterwards. */
export function staysSame(path: string, action: () => void): boolean {
  const before = hashOf(path);
  action();
  return hashOf(path) === before;
}

function hashOf(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}
