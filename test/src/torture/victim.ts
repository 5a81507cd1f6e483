/** One tortured process, from its start to its end, in the torturing process. */

import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { BlobstoreError, openStore } from 'blobyard';
import type { Line, Order, ReportedLine } from './protocol.js';

/**
 * When the process is killed: `delayMs` after it reported `after`. `never`: it closes the store, and ends by itself.
 */
export interface Fate {
  readonly after: 'opening' | 'opened' | 'closing' | 'never';
  readonly delayMs: number;
  /** True: before the kill, the torturing process tries to open the store, too. */
  readonly isProbed: boolean;
}

export interface Ended {
  readonly wasKilled: boolean;
  readonly hasOpened: boolean;
  readonly findings: string[];
}

/** A process without a report for this time, in milliseconds, counts as hanging. */
const SILENCE_MS = 60_000;
const CHILD = fileURLToPath(new URL('../../dist/torture/child.js', import.meta.url));

/** Starts a process with an order, and kills it by its fate. Returns how it ended. @param take - gets its reports */
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
    child.stdin?.on('error', () => undefined); // the process may end before it has read all
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

  /** Kills the process if it does not report in time. */
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

/** Tries to open the store, which must be refused with a message that names the process. Returns what is wrong. */
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
