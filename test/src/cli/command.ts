/** The command `blobyard` as users run it: a process of its own. */

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

/** Who a process runs as; this process unless given. */
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

/** Does something, and answers whether a file is the same afterwards, byte by byte. */
export function staysSame(path: string, action: () => void): boolean {
  const before = hashOf(path);
  action();
  return hashOf(path) === before;
}

function hashOf(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}
