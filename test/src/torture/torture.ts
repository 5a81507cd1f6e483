/**
 * Runs the torture: makes stores, and kills processes that use them, until all rounds are over or something is wrong.
 */

import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createStore } from 'blobyard';
import { Random } from '../random.js';
import { inspect } from './inspect.js';
import { Oracle } from './oracle.js';
import type { Durability, TortureMode } from './protocol.js';
import { type Fate, sacrifice } from './victim.js';

export const MODES: readonly TortureMode[] = ['inline', 'pool', 'attached', 'mixed'];
export const DURABILITIES: readonly Durability[] = ['power-loss', 'process-crash'];

export interface TortureOptions {
  readonly seed: number;
  readonly rounds: number;
  readonly threads: number;
  /** Default: each mode in turn. */
  readonly mode?: TortureMode;
  /** Default: each level in turn. */
  readonly durability?: Durability;
  /** The number of rounds with one store. */
  readonly roundsOfStore: number;
  /** The longest time in milliseconds that a process works before it is killed. */
  readonly workMsMax: number;
  /** The folder of the files. Default: the system's folder for temporary files. */
  readonly folder?: string;
  readonly onRound?: (round: number) => void;
}

export interface TortureResult {
  readonly rounds: number;
  readonly findings: readonly string[];
  /** How often each kind of event happened. */
  readonly counts: Readonly<Record<string, number>>;
  /** The path of a copy of the store with a finding, as its process left it. A log of the operations is beside it. */
  readonly kept?: string;
}

export const DEFAULTS: Omit<TortureOptions, 'seed'> = { rounds: 200, threads: 2, roundsOfStore: 25, workMsMax: 600 };

const STORE_BYTES = 32 * 1024 * 1024;
/** About the time of an opening in milliseconds: with one thread, and with several that must be started. */
const OPENING_MS = { inline: 30, threads: 250 };
const CLOSING_MS = 20;

export async function torture(options: TortureOptions): Promise<TortureResult> {
  const { rounds, roundsOfStore } = options;
  const folder = mkdtempSync(path.join(options.folder ?? tmpdir(), 'blobyard-torture-'));
  const counts: Record<string, number> = {};
  const findings: string[] = [];
  let kept: string | undefined;
  let round = 0;
  try {
    for (let index = 0; round < rounds && findings.length === 0; index++) {
      const store = await TorturedStore.create(options, index, path.join(folder, `store-${index}`));
      for (let of = 0; of < roundsOfStore && round < rounds && findings.length === 0; of++) {
        const found = await store.round(round, counts);
        findings.push(...found.map((finding) => `round ${round} (${store}): ${finding}`));
        options.onRound?.(round);
        round++;
      }
      if (findings.length > 0) {
        kept = path.join(mkdtempSync(path.join(tmpdir(), 'blobyard-tortured-')), 'store');
        copyFileSync(store.before, kept);
        writeFileSync(`${kept}.log`, store.log);
      }
      store.remove();
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return { rounds: round, findings, counts, kept };
}

/** One store through its rounds. */
class TorturedStore {
  readonly #options: TortureOptions;
  readonly #path: string;
  readonly #mode: TortureMode;
  readonly #durability: Durability;
  readonly #random: Random;
  readonly #oracle: Oracle;
  readonly #log: string[] = [];

  private constructor(options: TortureOptions, index: number, file: string, clusterBytes: number) {
    this.#options = options;
    this.#path = file;
    this.#mode = options.mode ?? MODES[index % MODES.length];
    this.#durability = options.durability ?? DURABILITIES[Math.floor(index / MODES.length + index) % 2];
    this.#random = new Random(options.seed, `store ${index}`);
    this.#oracle = new Oracle(clusterBytes);
  }

  static async create(options: TortureOptions, index: number, file: string): Promise<TorturedStore> {
    const clusterBytes = index % 2 === 0 ? 16_384 : 8192;
    const made = await createStore({
      device: { kind: 'file', path: file, create: true, sizeBytes: STORE_BYTES },
      clusterSizeBytes: clusterBytes,
      mdPageCount: 1024,
    });
    await made.close();
    return new TorturedStore(options, index, file, clusterBytes);
  }

  /** The path of the store as the last process left it. */
  get before(): string {
    return `${this.#path}.before`;
  }

  /** All reports of its processes, one per line. */
  get log(): string {
    return `${this.#log.join('\n')}\n`;
  }

  toString(): string {
    return `${this.#mode}, ${this.#durability}`;
  }

  /** Lets a process use the store, and inspects what it leaves. Returns what is wrong. */
  async round(round: number, counts: Record<string, number>): Promise<string[]> {
    const { seed, threads } = this.#options;
    const fate = this.#chooseFate();
    const add = (what: string, count = 1) => {
      counts[what] = (counts[what] ?? 0) + count;
    };
    const oracle = this.#oracle;
    this.#log.push(`round ${round}: ${JSON.stringify(fate)}`);
    const [operations, acknowledged] = [oracle.operations, oracle.acknowledged];
    const workMs = fate.after === 'opened' ? undefined : 20 + this.#random.below(this.#options.workMsMax / 2);
    const { wasKilled, hasOpened, findings } = await sacrifice(
      {
        path: this.#path,
        seed,
        round,
        mode: this.#mode,
        durability: this.#durability,
        threads,
        workMs,
        blobs: oracle.listed,
      },
      fate,
      (line) => {
        this.#log.push(JSON.stringify(line));
        oracle.take(line);
      },
    );
    add('operations', oracle.operations - operations);
    add('acknowledged', oracle.acknowledged - acknowledged);
    add('under way at a kill', oracle.pendingCount);
    if (wasKilled)
      add(hasOpened ? (fate.after === 'closing' ? 'kills while closing' : 'kills at work') : 'kills while opening');
    else add('clean ends');
    if (fate.isProbed) add('refused seconds');
    copyFileSync(this.#path, this.before);
    try {
      const inspected = await inspect(this.#path, this.#durability, this.#random.below(3) > 0);
      oracle.compare(inspected.found);
      add('blobs compared', inspected.found.size);
      findings.push(...inspected.findings);
    } catch (error) {
      findings.push(`the store cannot be inspected: ${error instanceof Error ? error.stack : error}`);
    }
    return [...findings, ...oracle.findings.splice(0)];
  }

  remove(): void {
    rmSync(this.#path);
    rmSync(this.before, { force: true });
  }

  #chooseFate(): Fate {
    const random = this.#random;
    const openingMs = this.#mode === 'pool' || this.#mode === 'mixed' ? OPENING_MS.threads : OPENING_MS.inline;
    switch (random.below(8)) {
      case 0:
        return { after: 'never', delayMs: 0, isProbed: false };
      case 1:
        return { after: 'opening', delayMs: random.below(openingMs), isProbed: false };
      case 2:
        return { after: 'closing', delayMs: random.below(1 + random.below(CLOSING_MS)), isProbed: false };
      default: {
        // Early kills are more frequent, because a store behaves differently just after a recovery.
        const delayMs = Math.min(random.below(this.#options.workMsMax), random.below(this.#options.workMsMax));
        return { after: 'opened', delayMs, isProbed: random.below(3) === 0 };
      }
    }
  }
}
