/**
 * Calls with arguments of every kind. The rules for each call: it succeeds, or fails with an error that has a code; a
 * promise form rejects and never throws; and it always ends.
 */

import { BlobstoreError } from 'blobyard';
import { ERRNO } from 'blobyard/engine';
import { expect } from 'vitest';
import { ODD, RIGHT, Trapped } from './odd-values.js';

const HANG_MS = 20_000;

/** A function to be called, and what is allowed for it. */
export interface Entry {
  readonly label: string;
  readonly call: (...args: unknown[]) => unknown;
  /** Valid arguments. */
  readonly right: readonly unknown[];
  /** True: it returns a promise, and must never throw. */
  readonly isPromise: boolean;
  /** True: errors of the caller's own getters may reach the caller unwrapped. This is so for the fastest calls. */
  readonly letsTrapsThrough?: boolean;
  /** Error codes that an odd argument must not cause. */
  readonly notCodes?: readonly string[];
}

/** Calls an entry with arguments by their names. Resolves to its result; rejects if it breaks a rule. */
export async function callWith(entry: Entry, names: readonly string[]): Promise<unknown> {
  const later: (() => void)[] = [];
  const args = names.map((name, at) => (name === RIGHT ? entry.right[at] : ODD[name]((task) => later.push(task))));
  const where = `${entry.label}(${names.join(', ')})`;
  let answer: unknown;
  try {
    answer = entry.call(...args);
  } catch (error) {
    if (entry.isPromise) expect.fail(`${where} threw, and did not reject: ${describe(error)}`);
    requireCoded(entry, where, error);
    return undefined;
  } finally {
    for (const task of later) task();
  }
  if (entry.isPromise && !(answer instanceof Promise))
    expect.fail(`${where} answered no promise: list it as one that does not`);
  try {
    return await ended(where, answer);
  } catch (error) {
    requireCoded(entry, where, error);
    return undefined;
  }
}

function requireCoded(entry: Entry, where: string, error: unknown): void {
  if (entry.letsTrapsThrough && isOfTheCaller(error)) return;
  if (error instanceof Error && error.name === 'AbortError' && 'code' in error && error.code === 'ABORT_ERR') return;
  const isCoded = error instanceof BlobstoreError && error.code in ERRNO && error.message.length > 10;
  if (!isCoded) expect.fail(`${where} failed without a code: ${describe(error)}`);
  if (entry.notCodes?.includes(error.code)) expect.fail(`${where} failed with the wrong code: ${describe(error)}`);
}

/** True for an error of the caller's objects: of a trap, of a revoked proxy, or of a class given as a function. */
function isOfTheCaller(error: unknown): boolean {
  return (
    error instanceof Trapped || (error instanceof TypeError && /has been revoked|requires 'new'/.test(error.message))
  );
}

function describe(error: unknown): string {
  return error instanceof Error
    ? `${error.stack} ${error.cause instanceof Error ? error.cause.stack : ''}`
    : String(error);
}

async function ended(where: string, answer: unknown): Promise<unknown> {
  let timer: NodeJS.Timeout | undefined;
  const hanging = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${where} did not end in ${HANG_MS} ms`)), HANG_MS);
  });
  try {
    return await Promise.race([answer, hanging]);
  } finally {
    clearTimeout(timer);
  }
}
