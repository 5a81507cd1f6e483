/** One tortured process, from its start to its end, as the torturing one sees it. */

import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { BlobstoreError, openStore } from 'blobyard';
import type { Line, Order } from './protocol.js';

/** When the process is killed: so long after it has said that; `never`: it is to close the store, and to end. */
export interface Fate {
  readonly after: 'opening' | 'opened' | 'closing' | 'never';
  readonly delayMs: number;
  /** Somebody else tries to open the store first. */
  readonly isProbed: boolean;
}

export interface Ended {
  readonly wasKilled: boolean;
  readonly hasOpened: boolean;
  readonly findings: string[];
}

/** A process that says nothing for so long hangs. */
const SILENCE_MS = 60_000;
const CHILD = fileURLToPath(new URL('../../dist/torture/child.js', import.meta.url));

export async function sacrifice(
  order: Order,
  fate: Fate,
  take: (line: Exclude<Line, { say: string }>) => void,
): Promise<Ended> {
  const child = spawn(process.execPath, [CHILD], { stdio: ['pipe', 'ignore', 'pipe', 'pipe'] });
  const ended = new Promise<{ code: number | null; signal: string | null }>((resolve, reject) => {
    child.on('close', (code, signal) => resolve({ code, signal }));
    child.on('error', reject);
  });
  const findings: string[] = [];
  const said = new Set<string>();
  let complaint = '';
  child.stderr?.on('data', (text) => {
    complaint += text;
  });
  child.stdin?.on('error', () => undefined); // it may be gone before it has read all
  child.stdin?.end(JSON.stringify(order));

  let wasKilled = false;
  const kill = () => {
    wasKilled = true;
    child.kill('SIGKILL');
  };
  const hang = () => {
    findings.push(`the process hung, having said ${[...said].join(', ')}`);
    child.kill('SIGKILL');
  };
  let silence = setTimeout(hang, SILENCE_MS);
  let killing: NodeJS.Timeout | undefined;
  const doom = async () => {
    if (fate.isProbed) findings.push(...(await probe(order.path, child.pid as number)));
    killing = setTimeout(kill, fate.delayMs);
  };
  let dooming: Promise<void> | undefined;
  for await (const text of createInterface({ input: child.stdio[3] as Readable })) {
    clearTimeout(silence);
    silence = setTimeout(hang, SILENCE_MS);
    const line = JSON.parse(text) as Line;
    if (!('say' in line)) take(line);
    else {
      said.add(line.say);
      if (line.say === fate.after) dooming = doom();
    }
  }
  const { code, signal } = await ended;
  clearTimeout(silence);
  await dooming;
  clearTimeout(killing);
  const hasEndedWell = code === 0 && said.has('closed');
  if (!hasEndedWell && !(wasKilled && signal === 'SIGKILL'))
    findings.push(`the process ended by ${signal ?? `code ${code}`}: ${complaint.slice(-2000)}`);
  return { wasKilled: !hasEndedWell, hasOpened: said.has('opened'), findings };
}

/** A second process may not have the store, and is told who has it. */
async function probe(path: string, pid: number): Promise<string[]> {
  try {
    const store = await openStore({ device: { kind: 'file', path } });
    await store.close();
    return ['a second process could open the store'];
  } catch (error) {
    if (error instanceof BlobstoreError && error.code === 'EBUSY' && error.message.includes(`process ${pid} `))
      return [];
    return [`a second process got ${error}`];
  }
}
