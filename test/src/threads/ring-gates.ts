/** What a test of the rings and its worker agree on. */

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
  /** The device under a store. */
  store?: { memory: SharedWasmMemory; asynchronous: boolean };
  promisesMax?: number;
  isPrompt?: boolean;
  /** Stops at this point of going to sleep until it is let on; see `GATE.STAGE`. */
  stopAt?: keyof BellHooks;
}

/** At once, by promises, both by chance, or by chance with pauses in which the ring runs empty or full. */
export type Answers = 'now' | 'promises' | 'mixed' | 'slow';

/** Words by which a test and the worker talk. */
export const GATE = {
  /** Requests that were begun. */
  BEGUN: 0,
  UNDER_WAY: 1,
  /** The most that were under way at once. */
  MOST: 2,
  /** While 1, a request waits before it does anything, and the thread with it. */
  HOLD: 3,
  /** While 1, a promise waits before it does anything. */
  HOLD_PROMISES: 4,
  /** How often the worker has stopped on its way to sleep. */
  STAGE: 5,
  /** How often it was let on. */
  GO: 6,
  /** Slot and generation of the store's blob, and its io unit. */
  SLOT: 8,
  GENERATION: 9,
  IO_UNIT_BYTES: 10,
  READY: 11,
  WORDS: 16,
} as const;

export const PLAIN_UNIT_BYTES = 64;
/** Units of the plain medium that fail, and how. */
export const FAILING = { EIO: 1_000_000, LONG: 1_000_001, BUG: 1_000_002, FOREIGN: 1_000_003 } as const;
export const LONG_MESSAGE = 'ä'.repeat(5000);
