/** The options and shared words by which a test of the rings controls its worker. */

import type { MessagePort } from 'node:worker_threads';
import type { SharedWasmMemory } from '@blobyard/io/internal/bulk-memory';
import type { BellHooks } from '../../../packages/workers/dist/io-pool/rings/bell.js';
import type { RingBuffers } from '../../../packages/workers/dist/io-pool/rings/ring-layout.js';

export interface RingWorkerData {
  ring: RingBuffers;
  port: MessagePort;
  gates: Int32Array;
  /** How the plain channel answers. */
  plain?: { medium: Uint8Array; answers: Answers; seed: number };
  /** The device of the worker's own store. */
  store?: { memory: SharedWasmMemory; asynchronous: boolean };
  promisesMax?: number;
  isPrompt?: boolean;
  /** The point on the way to sleep at which the worker stops until `GATE.GO` lets it go on; see `GATE.STAGE`. */
  stopAt?: keyof BellHooks;
}

/** At once; by promises; both at random; or both at random, with pauses in which the ring becomes empty or full. */
export type Answers = 'now' | 'promises' | 'mixed' | 'slow';

/** The indices of the words that a test and its worker share. */
export const GATE = {
  /** The number of requests that have begun. */
  BEGUN: 0,
  UNDER_WAY: 1,
  /** The greatest number of requests that were under way at once. */
  MOST: 2,
  /** While it is 1, a request waits before it does anything, and blocks its thread. */
  HOLD: 3,
  /** While it is 1, a request in promise form waits before it does anything. */
  HOLD_PROMISES: 4,
  /** How often the worker has stopped on its way to sleep. */
  STAGE: 5,
  /** How often the worker was let go on. */
  GO: 6,
  /** Slot and generation of the store's blob, and its io unit. */
  SLOT: 8,
  GENERATION: 9,
  IO_UNIT_BYTES: 10,
  READY: 11,
  WORDS: 16,
} as const;

export const PLAIN_UNIT_BYTES = 64;
/** The units of the plain medium whose requests fail, by the kind of the error. */
export const FAILING = { EIO: 1_000_000, LONG: 1_000_001, BUG: 1_000_002, FOREIGN: 1_000_003 } as const;
export const LONG_MESSAGE = 'ä'.repeat(5000);
