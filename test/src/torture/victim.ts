/** One tortured process, from its start to its end, as the torturing one sees it. */

import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { BlobstoreError, openStore } from 'blobyard';
import type { Line, Order, ReportedLine } from './protocol.js';

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

/** Starts a process by an order, kills it as its fate says, and answers how it ended. @param take - is given what it reports */
export async function sacrifice(order: Order, fate: Fate, take: (line: ReportedLine) => void): Promise<Ended> {
  return new Victim(order, fate).live(take);
}

class Victim {
  readonly #order: Order;
  readonly #fate: Fate;
  readonly #child: ChildProcess;
  readonly #findings: string[] = [];
  readonly #said = new Set<string>();
  #complaint = '';
  #wasKilled = false;
  #silence: NodeJS.Timeout | undefined;
  #killing: NodeJS.Timeout | undefined;
  #dooming: Promise<void> | undefined;

  constructor(order: Order, fate: Fate) {
    this.#order = order;
    this.#fate = fate;
    this.#child = spawn(process.execPath, [CHILD], { stdio: ['pipe', 'ignore', 'pipe', 'pipe'] });
  }

  async live(take: (line: ReportedLine) => void): Promise<Ended> {
    const child = this.#child;
    const ended = new Promise<{ code: number | null; signal: string | null }>((resolve, reject) => {
      child.on('close', (code, signal) => resolve({ code, signal }));
      child.on('error', reject);
    });
    child.stderr?.on('data', (text) => {
      this.#complaint += text;
    });
    child.stdin?.on('error', () => undefined); // it may be gone before it has read all
    child.stdin?.end(JSON.stringify(this.#order));
    this.#awaitWord();
    for await (const text of createInterface({ input: child.stdio[3] as Readable })) {
      this.#awaitWord();
      const line = JSON.parse(text) as Line;
      if ('say' in line) this.#heard(line.say);
      else take(line);
    }
    const { code, signal } = await ended;
    clearTimeout(this.#silence);
    await this.#dooming;
    clearTimeout(this.#killing);
    return this.#judge(code, signal);
  }

  #heard(said: string): void {
    this.#said.add(said);
    if (said === this.#fate.after) this.#dooming = this.#doom();
  }

  async #doom(): Promise<void> {
    if (this.#fate.isProbed) this.#findings.push(...(await probe(this.#order.path, this.#child.pid as number)));
    this.#killing = setTimeout(() => {
      this.#wasKilled = true;
      this.#child.kill('SIGKILL');
    }, this.#fate.delayMs);
  }

  /** What hangs is killed, too. */
  #awaitWord(): void {
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => {
      this.#findings.push(`the process hung, having said ${[...this.#said].join(', ')}`);
      this.#child.kill('SIGKILL');
    }, SILENCE_MS);
  }

  #judge(code: number | null, signal: string | null): Ended {
    const hasEndedWell = code === 0 && this.#said.has('closed');
    if (!hasEndedWell && !(this.#wasKilled && signal === 'SIGKILL'))
      this.#findings.push(`the process ended by ${signal ?? `code ${code}`}: ${this.#complaint.slice(-2000)}`);
    return { wasKilled: !hasEndedWell, hasOpened: this.#said.has('opened'), findings: this.#findings };
  }
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
