/**
 * A thread that does what a test tells it: attaches to stores, opens blobs, reads and writes. Run by `actors.ts`. What is read
 * comes back as bytes; what is written is one byte, many times over.
 */

import { parentPort } from 'node:worker_threads';
import { type AttachedBlob, type AttachedStore, attach, type StoreHandle } from '@blobyard/workers';
import { hostOf } from '../../../packages/workers/dist/internal.js';
import { Gate } from './gate.js';
import { type StopStep, stopAt } from './stop-steps.js';

export interface Attached {
  /** The actor's number of the store. */
  readonly store: number;
  /** The row of the channel table. */
  readonly row: number;
}

export interface OpenedBlob {
  /** The actor's number of the blob. */
  readonly blob: number;
  readonly slot: number;
}

const stores: AttachedStore[] = [];
const blobs: AttachedBlob[] = [];

function opened(blob: AttachedBlob): OpenedBlob {
  return { blob: blobs.push(blob) - 1, slot: blob.slot };
}

function filled(length: number, value: number): Uint8Array {
  return new Uint8Array(length).fill(value);
}

const commands = {
  async attach(handle: StoreHandle): Promise<Attached> {
    const store = await attach(handle);
    return { store: stores.push(store) - 1, row: hostOf(store).shared.threadId - 1 };
  },
  detach: (store = 0): Promise<void> => stores[store].detach(),
  open: async (id: bigint, store = 0): Promise<OpenedBlob> => opened(await stores[store].open(id)),
  openSync: (id: bigint, store = 0): OpenedBlob => opened(stores[store].blob(id)),
  close: (blob: number): Promise<void> => blobs[blob].close(),
  read: (blob: number, offset: number, length: number): Promise<Uint8Array> => blobs[blob].read(offset, length),
  readSync: (blob: number, offset: number, length: number): Uint8Array => blobs[blob].readSync(offset, length),
  write: (blob: number, offset: number, length: number, value: number): Promise<void> =>
    blobs[blob].write(filled(length, value), offset),
  writeSync: (blob: number, offset: number, length: number, value: number): void => {
    blobs[blob].writeSync(filled(length, value), offset);
  },
  trim: (blob: number, offset: number, length: number): Promise<void> => blobs[blob].trim(offset, length),
  trimSync: (blob: number, offset: number, length: number): void => {
    blobs[blob].trimSync(offset, length);
  },
  /** What a handle says of its blob. */
  look: (blob: number): { sizeBytes: number; isReadOnly: boolean } => {
    const { sizeBytes, isReadOnly } = blobs[blob];
    return { sizeBytes, isReadOnly };
  },
  /** Makes the thread stop at a step of the critical sections in which clusters are claimed and given back. */
  stopAt: (step: StopStep, gate: SharedArrayBuffer, store = 0): void => {
    stopAt(hostOf(stores[store]).shared, step, gate);
  },
  /** Writes a byte to one cluster after another until it fails; answers how many writes did not. */
  writeUntilFailure: async (blob: number, stride: number, count: number): Promise<{ done: number; code: string }> => {
    const piece = filled(4096, 1);
    for (let done = 0; ; done++) {
      try {
        if (done % 2 === 0) blobs[blob].writeSync(piece, (done % count) * stride);
        else await blobs[blob].write(piece, (done % count) * stride);
      } catch (error) {
        return { done, code: (error as { code: string }).code };
      }
    }
  },
  /** Writes one io unit again and again, by synchronous calls only, until it fails. */
  writeSyncUntilFailure: (blob: number, begun: SharedArrayBuffer): string => {
    const piece = filled(4096, 1);
    const rounds = new Int32Array(begun);
    for (;;) {
      try {
        blobs[blob].writeSync(piece, 0);
        Atomics.add(rounds, 0, 1);
      } catch (error) {
        return (error as { code: string }).code;
      }
    }
  },
  /** Stops the thread at a gate. */
  standStill: (gate: SharedArrayBuffer): void => {
    new Gate(gate).pass();
  },
  /** Ends the thread: its event loop has nothing more to do. */
  end: (): void => {
    parentPort?.close();
  },
  exit: (): void => {
    process.exit(0);
  },
  crash: (): void => {
    setImmediate(() => {
      throw new Error('the test wants this thread to crash');
    });
  },
};

export type Commands = typeof commands;
export type CommandName = keyof Commands;

/** A command with its arguments. */
export type Order = { [Name in CommandName]: readonly [Name, ...Parameters<Commands[Name]>] }[CommandName];

/** What became of an order; `place`: how many of those that came with it had ended before. */
export type Outcome = { readonly place: number } & (
  | { readonly value: unknown }
  | { readonly code: string; readonly message: string }
);

export interface Answer {
  readonly request: number;
  readonly outcomes: readonly Outcome[];
}

/** Begins all orders in one turn of the event loop, one after another. */
async function obey(orders: readonly Order[]): Promise<Outcome[]> {
  let ended = 0;
  return Promise.all(
    orders.map(async ([name, ...args]) => {
      try {
        const command = commands[name] as (...given: unknown[]) => unknown;
        return { value: await command(...args), place: ended++ };
      } catch (error) {
        const { code, message } = error as { code?: string; message: string };
        return { code: code ?? 'no code', message, place: ended++ };
      }
    }),
  );
}

parentPort?.on('message', async ({ request, orders }: { request: number; orders: Order[] }) => {
  const answer: Answer = { request, outcomes: await obey(orders) };
  parentPort?.postMessage(answer);
});
