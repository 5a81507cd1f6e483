/** Transfers of one thread with a fixed number in flight, with promises or callbacks. */

import fs from 'node:fs';
import type { Share } from './job.js';
import { type TransferPlan, wordsOf } from './transfer-plan.js';

/** The methods of a blob that the transfers use. */
export interface Mover {
  read(offset: number, into: Uint8Array): Promise<unknown>;
  write(data: Uint8Array, offset: number): Promise<unknown>;
}

/** Called after each transfer. */
export type OnEnd = () => void;

/** Executes a share, with one transfer in flight for each buffer. Returns the checksum. */
export async function transferInFlight(
  plan: TransferPlan,
  buffers: readonly Uint8Array[],
  share: Share,
  mover: Mover,
  onEnd?: OnEnd,
): Promise<number> {
  const next = operationsOf(share);
  let sum = 0;
  const oneAfterAnother = async (buffer: Uint8Array) => {
    const words = wordsOf(buffer);
    for (let operation = next(); operation >= 0; operation = next()) {
      const offset = plan.offsetOf(operation);
      if (plan.isWrite(operation)) {
        plan.stamp(words, offset);
        await mover.write(buffer, offset);
      } else await mover.read(offset, buffer);
      sum = (sum + plan.check(words, offset)) | 0;
      onEnd?.();
    }
  };
  await Promise.all(buffers.map(oneAfterAnother));
  return sum;
}

/** As `transferInFlight`, with `fs.read` and `fs.write`, from byte `start` of a file on. */
export function callbacksInFlight(
  plan: TransferPlan,
  buffers: readonly Uint8Array[],
  share: Share,
  fd: number,
  start: number,
): Promise<number> {
  const next = operationsOf(share);
  const { transferBytes } = plan;
  let sum = 0;
  return new Promise((resolve, reject) => {
    let chains = buffers.length;
    const chain = (buffer: Uint8Array, words: Int32Array) => {
      const operation = next();
      if (operation < 0) {
        chains--;
        if (chains === 0) resolve(sum);
        return;
      }
      const offset = plan.offsetOf(operation);
      const end = (error: Error | null) => {
        try {
          if (error) throw error;
          sum = (sum + plan.check(words, offset)) | 0;
          chain(buffer, words);
        } catch (cause) {
          reject(cause);
        }
      };
      if (plan.isWrite(operation)) {
        plan.stamp(words, offset);
        fs.write(fd, buffer, 0, transferBytes, start + offset, end);
      } else fs.read(fd, buffer, 0, transferBytes, start + offset, end);
    };
    for (const buffer of buffers) chain(buffer, wordsOf(buffer));
  });
}

/** The share of a thread that executes a whole call alone. */
export function wholeShare(operations: number, call: number): Share {
  let isTaken = false;
  const take = () => {
    if (isTaken) return -1;
    isTaken = true;
    return 0;
  };
  return { operations, chunk: operations, call, take };
}

/** Returns the operations of a share one by one, then -1. */
function operationsOf({ operations, chunk, call, take }: Share): () => number {
  let next = 0;
  let end = 0;
  return () => {
    if (next === end) {
      next = take();
      if (next < 0) {
        end = next;
        return -1;
      }
      end = Math.min(next + chunk, operations);
    }
    return call * operations + next++;
  };
}
