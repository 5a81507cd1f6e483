/**
 * A thread that executes the orders of a test: it attaches to stores, opens blobs, reads and writes. Run by
 * `actors.ts`. Reads return bytes; writes write one byte value, repeated.
 */

import assert from 'node:assert/strict';
import { parentPort } from 'node:worker_threads';
import { attach, type Blob, type Store, type StoreHandle } from '@blobyard/workers';
import type { CallClient } from '../../../packages/workers/dist/mailbox/call-client.js';
import { HEAD, Mailbox } from '../../../packages/workers/dist/mailbox/mailbox.js';
import { hostOf } from '../../../packages/workers/dist/open/internal.js';
import { Random } from '../random.js';
import { Gate } from './gate.js';
import { type StopStep, stopAt } from './stop-steps.js';

export interface Attached {
  /** The number that this thread has given to the store. */
  readonly store: number;
  /** The row of the channel table. */
  readonly row: number;
}

export interface OpenedBlob {
  /** The number that this thread has given to the handle. */
  readonly blob: number;
  readonly slot: number;
}

const handles: StoreHandle[] = [];
const stores: Store[] = [];
const blobs: Blob[] = [];

function opened(blob: Blob): OpenedBlob {
  return { blob: blobs.push(blob) - 1, slot: blob.slot };
}

function filled(length: number, value: number): Uint8Array {
  return new Uint8Array(length).fill(value);
}

type Untyped = Pick<CallClient<Record<string, (...given: unknown[]) => Promise<unknown>>>, 'call' | 'follow'>;

function callsOf(store: number): Untyped {
  return hostOf(stores[store]).calls as unknown as Untyped;
}

/** What a followed operation does in `onProgress`: after how many calls it aborts or throws, and so on. */
export interface Follow {
  readonly abortAfter?: number;
  readonly throwAfter?: number;
  /** The gate at which the thread stops in `onProgress`. */
  readonly gate?: SharedArrayBuffer;
  /** The method that is called synchronously in `onProgress`. */
  readonly callSync?: string;
}

export interface FollowOutcome {
  readonly progress: number;
  readonly value?: unknown;
  readonly code?: string | undefined;
  readonly cause?: unknown;
  readonly codeOfSync?: string | undefined;
}

async function follow(name: string, given: readonly unknown[], how: Follow): Promise<FollowOutcome> {
  const calls = callsOf(0);
  const abort = new AbortController();
  let progress = 0;
  let codeOfSync: string | undefined;
  const onProgress = () => {
    progress++;
    if (how.gate) new Gate(how.gate).pass();
    try {
      if (how.callSync) calls.call(how.callSync).block();
    } catch (error) {
      codeOfSync = (error as { code: string }).code;
    }
    if (progress === how.abortAfter) abort.abort('the test aborts');
    if (progress === how.throwAfter) throw new Error('the test throws');
  };
  try {
    const value = await calls.follow({ onProgress, signal: abort.signal }, (followed) =>
      calls.call(name, ...given, followed).promise(),
    );
    return { progress, value, codeOfSync };
  } catch (error) {
    const { code, cause } = error as { code?: string; cause?: unknown };
    return { progress, code, cause: posted(cause), codeOfSync };
  }
}

/**
 * Makes the synchronous calls that wait for work of the metadata thread on a blob. Returns the codes of their errors.
 */
function syncCodes(blob: number, id: bigint, store: number): string[] {
  const calls = [
    () => blobs[blob].flushSync(),
    () => blobs[blob].syncSync(),
    () => blobs[blob].closeSync(),
    () => stores[store].openSync(id),
    () => stores[store].flushSync(),
  ];
  return calls.map((call) => {
    try {
      call();
      return 'none';
    } catch (error) {
      return (error as { code: string }).code;
    }
  });
}

const commands = {
  async attach(handle: StoreHandle): Promise<Attached> {
    const store = await attach(handle);
    handles.push(handle);
    return { store: stores.push(store) - 1, row: hostOf(store).shared.threadId - 1 };
  },
  detach: (store = 0): Promise<void> => stores[store].close(),
  open: async (id: bigint, store = 0): Promise<OpenedBlob> => opened(await stores[store].open(id)),
  openSync: (id: bigint, store = 0): OpenedBlob => opened(stores[store].openSync(id)),
  close: (blob: number): Promise<void> => blobs[blob].close(),
  closeSync: (blob: number): void => {
    blobs[blob].closeSync();
  },
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
  flush: (blob: number): Promise<void> => blobs[blob].flush(),
  flushSync: (blob: number): void => blobs[blob].flushSync(),
  /** Starts a first write and, in the same turn, many flushes; then sets the word. Waits until all have ended. */
  flushWhileWriting: async (blob: number, count: number, word: Int32Array): Promise<void> => {
    const work = [blobs[blob].write(filled(stores[0].clusterSizeBytes, 1), 0)];
    for (let done = 0; done < count; done++) work.push(blobs[blob].flush());
    Atomics.store(word, 0, 1);
    Atomics.notify(word, 0);
    await Promise.all(work);
  },
  /** The codes of synchronous calls while a first write of this thread, by another handle, is inside its blob. */
  syncWhileInside: async (inside: number, blob: number, id: bigint, store: number): Promise<string[]> => {
    const writing = blobs[inside].write(filled(stores[0].clusterSizeBytes, 1), 0);
    const codes = syncCodes(blob, id, store);
    await writing;
    return codes;
  },
  /** The codes of synchronous calls while this thread follows the progress of a long operation. */
  syncWhileFollowing: async (inflated: number, blob: number, id: bigint, store: number): Promise<string[]> => {
    let codes: string[] | undefined;
    const onProgress = () => {
      codes ??= syncCodes(blob, id, store);
    };
    await blobs[inflated].inflate({ onProgress });
    return codes ?? [];
  },
  /**
   * Stops the thread for good after it has claimed the wake-up of the metadata thread, and before it wakes it. Sets the
   * word.
   */
  stopWhileRinging: (word: Int32Array): never => {
    const { words } = new Mailbox(handles[0].mailboxes, 0);
    while (Atomics.compareExchange(words, HEAD.ASLEEP, 1, 0) !== 1);
    Atomics.store(word, 0, 1);
    for (;;) Atomics.wait(word, 0, 1);
  },
  /** Calls a method of the metadata thread in promise form. */
  call: (name: string, ...given: unknown[]): Promise<unknown> =>
    callsOf(0)
      .call(name, ...given)
      .promise(),
  /** As `call`, with the second store of this thread. */
  callOther: (name: string, ...given: unknown[]): Promise<unknown> =>
    callsOf(1)
      .call(name, ...given)
      .promise(),
  /** Calls a method of the metadata thread synchronously: the thread blocks until the answer. */
  callSync: (name: string, ...given: unknown[]): unknown =>
    callsOf(0)
      .call(name, ...given)
      .block(),
  /** Makes a call with a function as its argument, which cannot be posted. */
  callUnposted: (isSync: boolean): unknown => {
    const call = callsOf(0).call('open', () => undefined);
    return isSync ? call.block() : call.promise();
  },
  /** Calls a long operation, and follows its progress. Returns the number of progress calls. */
  follow: (name: string, given: readonly unknown[], how: Follow): Promise<FollowOutcome> => follow(name, given, how),
  /** Makes calls in random forms, with arguments of many sizes. Each answer must be the argument of its call. */
  echoes: async (seed: number, count: number): Promise<void> => {
    const random = new Random(seed);
    const underWay = new Set<Promise<void>>();
    for (let turn = 0; turn < count; turn++) {
      const sent = {
        turn,
        seed,
        id: BigInt(turn),
        bytes: filled(Math.floor(random.fraction() ** 8 * 200_000), turn & 255),
      };
      const expectSame = (got: unknown) => assert.deepEqual(got, sent);
      const call = callsOf(0).call('echo', sent);
      if (random.fraction() < 0.3) expectSame(call.block());
      else {
        const answered = call.promise().then(expectSame);
        underWay.add(answered);
        void answered.finally(() => underWay.delete(answered));
        if (underWay.size > 100 || random.fraction() < 0.05) await Promise.all(underWay);
      }
    }
    await Promise.all(underWay);
  },
  /** The size and the read-only state of a blob, as its handle shows them. */
  look: (blob: number): { sizeBytes: number; isReadOnly: boolean } => {
    const { sizeBytes, isReadOnly } = blobs[blob];
    return { sizeBytes, isReadOnly };
  },
  /** Makes the thread stop at a step of the critical sections in which clusters are claimed and unclaimed. */
  stopAt: (step: StopStep, gate: SharedArrayBuffer, store = 0): void => {
    stopAt(hostOf(stores[store]).shared, step, gate);
  },
  /** Writes to one cluster after another until a write fails. Returns the number of writes that succeeded. */
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

/** The outcome of an order. `place`: how many of the orders that came with it had ended before. */
export type Outcome = { readonly place: number } & (
  | { readonly value: unknown }
  | { readonly code: string; readonly message: string; readonly cause: unknown }
);

export interface Answer {
  readonly request: number;
  readonly outcomes: readonly Outcome[];
}

/** An error as a plain object, because errors lose their code when they are posted. */
function posted(cause: unknown): unknown {
  if (!(cause instanceof Error)) return cause;
  const { code, message } = cause as { code?: string; message: string };
  return { code, message };
}

/** Starts all orders one after another in one turn of the event loop. Returns their outcomes when all have ended. */
async function obey(orders: readonly Order[]): Promise<Outcome[]> {
  let ended = 0;
  return Promise.all(
    orders.map(async ([name, ...args]) => {
      try {
        const command = commands[name] as (...given: unknown[]) => unknown;
        return { value: await command(...args), place: ended++ };
      } catch (error) {
        const { code, message, cause } = error as { code?: string; message: string; cause?: unknown };
        return { code: code ?? 'no code', message, cause: posted(cause), place: ended++ };
      }
    }),
  );
}

parentPort?.on('message', async ({ request, orders }: { request: number; orders: Order[] }) => {
  const answer: Answer = { request, outcomes: await obey(orders) };
  parentPort?.postMessage(answer);
});
