/**
 * A thread that reads, writes and unmaps at random, in synchronous and promise form, with many requests at once. It has
 * a model of its own io units. Run by `mailbox-fuzz.test.ts`.
 */

import { parentPort, workerData } from 'node:worker_threads';
import { attach, type Blob, type StoreHandle } from '@blobyard/workers';
import { numbers } from '../api/numbers.js';

export interface MailboxFuzzData {
  readonly handle: StoreHandle;
  readonly seed: number;
  /** A blob that all threads write, each to every `threads`-th io unit from its `thread`-th on. */
  readonly sharedId: bigint;
  /** A blob that only this thread uses. */
  readonly ownId: bigint;
  readonly thread: number;
  readonly threads: number;
  readonly rounds: number;
  /** The number of io units of a blob that are used. The blob may be longer. */
  readonly units: number;
  readonly unitsPerCluster: number;
}

/** The expected value of each io unit. For the shared blob, only those of this thread's io units count. */
export interface MailboxFuzzResult {
  readonly shared: Uint8Array;
  readonly own: Uint8Array;
}

/** The greatest number of requests at once: enough to fill a mailbox, since after a snapshot most of them allocate. */
const AT_ONCE_MAX = 300;

const data = workerData as MailboxFuzzData;
const random = numbers(data.seed);
const store = await attach(data.handle);
const unit = store.ioUnitBytes;

class Player {
  readonly model: Uint8Array;
  readonly #blob: Blob;
  readonly #units: number[];
  readonly #ownsClusters: boolean;

  constructor(blob: Blob, units: number[], ownsClusters: boolean) {
    this.#blob = blob;
    this.#units = units;
    this.#ownsClusters = ownsClusters;
    this.model = new Uint8Array(data.units);
  }

  /** Executes one synchronous operation. */
  async once(): Promise<void> {
    const at = this.#units[random(this.#units.length)];
    const kind = random(this.#ownsClusters ? 4 : 3);
    if (kind === 0) return this.#expect(this.#blob.readSync(at * unit, unit), at);
    if (kind === 3) return this.#trimCluster(at, (offset, length) => this.#blob.trimSync(offset, length));
    this.model[at] = 1 + random(255);
    await this.#orLater(
      () => this.#blob.writeSync(this.#bytes(at), at * unit),
      () => this.#blob.write(this.#bytes(at), at * unit),
    );
  }

  /** Executes many operations at once, each on another io unit. */
  async many(): Promise<void> {
    const units = new Set(Array.from({ length: 1 + random(AT_ONCE_MAX) }, () => random(this.#units.length)));
    await Promise.all([...units].map((index) => this.#later(this.#units[index])));
  }

  async #later(at: number): Promise<void> {
    switch (random(4)) {
      case 0:
        return this.#expect(await this.#blob.read(at * unit, unit), at);
      case 1:
        this.model[at] = 0;
        if (this.#ownsClusters) return this.#blob.trim(at * unit, unit);
        return this.#blob.writeZeroes(at * unit, unit); // unmapping would let a snapshot show through
      default:
        this.model[at] = 1 + random(255);
        return this.#blob.write(this.#bytes(at), at * unit);
    }
  }

  async #trimCluster(at: number, trim: (offset: number, length: number) => void): Promise<void> {
    const first = at - (at % data.unitsPerCluster);
    this.model.fill(0, first, first + data.unitsPerCluster);
    const length = data.unitsPerCluster * unit;
    await this.#orLater(
      () => trim(first * unit, length),
      () => this.#blob.trim(first * unit, length),
    );
  }

  /** Executes the synchronous form; if this cannot wait (EBUSY), the promise form. */
  async #orLater(now: () => void, later: () => Promise<void>): Promise<void> {
    try {
      now();
    } catch (error) {
      if ((error as { code?: string }).code !== 'EBUSY') throw error;
      await later();
    }
  }

  #bytes(at: number): Uint8Array {
    return new Uint8Array(unit).fill(this.model[at]);
  }

  #expect(found: Uint8Array, at: number): void {
    const wrong = found.findIndex((byte) => byte !== this.model[at]);
    if (wrong >= 0) throw new Error(`io unit ${at} reads ${found[wrong]}, not ${this.model[at]}`);
  }
}

function every(first: number, step: number): number[] {
  const units: number[] = [];
  for (let at = first; at < data.units; at += step) units.push(at);
  return units;
}

const sharedBlob = await store.open(data.sharedId);
const ownBlob = store.openSync(data.ownId);
const players = [
  new Player(sharedBlob, every(data.thread, data.threads), false),
  new Player(ownBlob, every(0, 1), true),
];
for (let round = 0; round < data.rounds; round++) {
  const player = players[random(players.length)];
  if (random(4) === 0) await player.many();
  else await player.once();
}
await store.close();
parentPort?.postMessage({ shared: players[0].model, own: players[1].model } satisfies MailboxFuzzResult);
