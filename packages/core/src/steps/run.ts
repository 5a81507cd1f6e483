/**
 * Runs operations (`steps.ts`): synchronously, or by a promise. In the promise form, long work gives the event loop a
 * turn between slices.
 */

import { BlobstoreError } from '../units/error.js';
import type { MaybePromise, Steps, Waitable } from './steps.js';

/** A `catch` handler that does nothing. A rejection with a handler does not end the process. */
function ignore(): undefined {
  return undefined;
}

/**
 * Runs an operation to its end in this call. Blocks the thread where the operation waits for another thread.
 * @throws EINVAL when `steps` is no generator. ENOTSUP when the operation would have to wait for a promise, which this
 * thread cannot settle while it blocks: its device is asynchronous, or another operation holds the blob. EBUSY when
 * blocking would be a deadlock. Otherwise what the operation throws.
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

interface Tagged {
  readonly [Symbol.toStringTag]?: unknown;
}

function requireSteps(steps: unknown): void {
  const isGenerator = typeof steps === 'object' && (steps as Tagged | null)?.[Symbol.toStringTag] === 'Generator';
  if (!isGenerator)
    throw new BlobstoreError('EINVAL', 'only steps can be run: pass what an operation of the engine returned');
}

function blockOn(waited: Promise<unknown> | Waitable<unknown>): unknown {
  if (!(waited instanceof Promise)) return waited.block();
  waited.catch(ignore); // nothing waits for this promise any more: its rejection must not end the process
  const reason = 'the device is asynchronous, or another operation holds the blob';
  throw new BlobstoreError('ENOTSUP', `a synchronous call would have to wait: ${reason}; use the promise form`);
}

/** How long an operation runs, if it pauses often enough, before the event loop gets a turn, in milliseconds. */
const SLICE_MS = 2;

/**
 * Called at each pause of an operation. Returns a promise to give the event loop a turn, or nothing to go on at once.
 */
export type Pause = () => MaybePromise<void>;
const nextTurn = () => new Promise((resolve) => setImmediate(resolve));

/**
 * Runs an operation to its end without blocking the thread. At a pause of the operation, the event loop gets a turn if
 * 2 ms (`SLICE_MS`) have passed since the first pause, or since the last such turn. Any thread.
 * @param pause - replaces the way to give the event loop a turn, for simulations
 * @throws EINVAL (by rejection) for wrong arguments; otherwise what the operation throws.
 */
export async function run<T>(steps: Steps<T>, pause?: Pause): Promise<T> {
  requireSteps(steps);
  if (pause !== undefined && typeof pause !== 'function')
    throw new BlobstoreError('EINVAL', 'a pause must be a function');
  return runFrom(steps, steps.next(), pause);
}

/**
 * As `run`, but an operation that neither waits nor pauses ends in this call, without a promise: its result is
 * returned, its error is thrown. Does not check `steps`.
 */
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
