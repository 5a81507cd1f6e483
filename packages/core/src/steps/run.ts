/** Who runs operations: to their end in this call, or by a promise, with turns of the event loop between slices of long work. */

import { BlobstoreError } from '../units/error.js';
import type { MaybePromise, Steps, Waitable } from './steps.js';

/** Marks a rejection as seen. */
function ignore(): undefined {
  return undefined;
}

/**
 * Runs an operation to its end on this thread, now; where it waits for another thread, this one stops.
 * @throws ENOTSUP when it would have to wait for this thread: its device is asynchronous, or another operation is in the way.
 */
export function runSync<T>(steps: Steps<T>): T {
  requireSteps(steps);
  let step = steps.next();
  while (!step.done) {
    if (step.value === undefined) {
      step = steps.next();
      continue;
    }
    let resume: unknown;
    try {
      resume = blockOn(step.value);
    } catch (error) {
      step = steps.throw(error);
      continue;
    }
    step = steps.next(resume);
  }
  return step.value;
}

function requireSteps(steps: unknown): void {
  const isGenerator = Object.prototype.toString.call(steps) === '[object Generator]';
  if (!isGenerator)
    throw new BlobstoreError('EINVAL', 'only steps can be run: pass what an operation of the engine answers');
}

function blockOn(waited: Promise<unknown> | Waitable<unknown>): unknown {
  if (!(waited instanceof Promise)) return waited.block();
  waited.catch(ignore); // nobody waits for it any more
  const reason = 'the device is asynchronous, or another operation holds the blob';
  throw new BlobstoreError('ENOTSUP', `a synchronous call would have to wait: ${reason}; use the promise form`);
}

/** How long an operation may run before other work of its thread gets a turn, in milliseconds. */
const SLICE_MS = 2;

/** Gives the event loop a turn, or does nothing while it is not time for one. */
export type Pause = () => MaybePromise<void>;
const nextTurn = () => new Promise((resolve) => setImmediate(resolve));

/**
 * Runs an operation to its end, waiting where it waits. At its pauses the event loop gets a turn once `SLICE_MS` have passed.
 * @param pause - how to give the event loop a turn; a simulation has its own
 */
export async function run<T>(steps: Steps<T>, pause?: Pause): Promise<T> {
  requireSteps(steps);
  if (pause !== undefined && typeof pause !== 'function')
    throw new BlobstoreError('EINVAL', 'a pause must be a function');
  return runFrom(steps, steps.next(), pause);
}

/** As `run`, but an operation that needs not wait ends in this same call, and no promise is made. */
export function runNowOrLater<T>(steps: Steps<T>): MaybePromise<T> {
  const first = steps.next();
  return first.done ? first.value : runFrom(steps, first);
}

type Step<T> = IteratorResult<Promise<unknown> | Waitable<unknown> | undefined, T>;

async function runFrom<T>(steps: Steps<T>, first: Step<T>, pause?: Pause): Promise<T> {
  let sliceEnd = 0;
  let step = first;
  while (!step.done) {
    let resume: unknown;
    try {
      if (step.value !== undefined) resume = await (step.value instanceof Promise ? step.value : step.value.promise());
      else if (pause) {
        const turn = pause();
        if (turn !== undefined) await turn;
      } else {
        const now = performance.now();
        if (sliceEnd === 0) sliceEnd = now + SLICE_MS;
        if (now >= sliceEnd) {
          await nextTurn();
          sliceEnd = performance.now() + SLICE_MS;
        }
      }
    } catch (error) {
      step = steps.throw(error);
      continue;
    }
    step = steps.next(resume);
  }
  return step.value;
}
