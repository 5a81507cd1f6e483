/**
 * Calls with any arguments, and what must hold of each: it works, or it fails with a coded error; in the promise forms by a
 * rejection, never by a throw; and it ends.
 */

import { BlobstoreError } from 'blobyard';
import { ERRNO } from 'blobyard/engine';
import { expect } from 'vitest';
import { ODD, RIGHT, Trapped } from './odd-values.js';

const HANG_MS = 20_000;

/** How an entry is called. */
export interface Entry {
  readonly label: string;
  readonly call: (...args: unknown[]) => unknown;
  /** The arguments that it wants. */
  readonly right: readonly unknown[];
  /** It answers by a promise, and never throws. */
  readonly isPromise: boolean;
  /** What the caller's own getters throw may come through as it is: on the shortest ways, where nothing is wrapped. */
  readonly letsTrapsThrough?: boolean;
  /** Codes that an odd argument cannot be the reason of. */
  readonly notCodes?: readonly string[];
}

/** Calls an entry with arguments by their names. Resolves to what came of it; rejects when a rule was broken. */
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
  const isCoded = error instanceof BlobstoreError && error.code in ERRNO && error.message.length > 10;
  if (!isCoded) expect.fail(`${where} failed without a code: ${describe(error)}`);
  if (entry.notCodes?.includes(error.code)) expect.fail(`${where} failed with the wrong code: ${describe(error)}`);
}

/** What a trap throws, also that of a proxy without a target, and a class that was given for a function. */
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
    timer = setTimeout(() => reject(new Error(`${where} hangs`)), HANG_MS);
  });
  try {
    return await Promise.race([answer, hanging]);
  } finally {
    clearTimeout(timer);
  }
}
