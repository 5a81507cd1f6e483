/**
 * Checks of the arguments of the promise API, in addition to those in core, which all packages share. Each failure is
 * EINVAL; the message says what was given and what is expected.
 */

import { BlobstoreError } from '@blobyard/core';
import { checkFunction, checkInteger, invalid } from '@blobyard/core/internal/argument-checks';
import type { AbortableOptions } from '../api/abort.js';
import { throwIfAborted } from '../api/failures.js';

export {
  checkBoolean as checkBooleanOr,
  checkBytes,
  checkChoice as checkChoiceOr,
  checkFunction,
  checkInteger,
  invalid,
  isBytes,
} from '@blobyard/core/internal/argument-checks';

/** `checkInteger` with a default. */
export function checkIntegerOr(what: string, value: unknown, fallback: number, least: number, most: number): number {
  return value === undefined ? fallback : checkInteger(what, value, least, most);
}

export function checkFunctionOr<T>(what: string, value: T | undefined): T | undefined {
  return value === undefined ? value : checkFunction(what, value);
}

export function checkSignalOr(value: AbortSignal | undefined): AbortSignal | undefined {
  if (value === undefined) return value;
  // An object that only has the prototype of AbortSignal throws when `aborted` is read.
  if (reading('signal', () => value instanceof AbortSignal && typeof value.aborted === 'boolean')) return value;
  throw invalid('signal', value, 'an AbortSignal');
}

/** Checks the options of a call that has no others than `signal`. Throws the error of an abort if it is aborted. */
export function checkAbortable(doing: string, options: AbortableOptions | undefined): AbortSignal | undefined {
  if (options === undefined) return undefined;
  return checkNotAborted(checkOptions(`options of ${doing}`, options, ['signal']).signal);
}

/** `checkSignalOr`; throws the error of an abort if the signal is aborted. */
export function checkNotAborted(value: AbortSignal | undefined): AbortSignal | undefined {
  const signal = checkSignalOr(value);
  throwIfAborted(signal);
  return signal;
}

/** Requires a writable stream, of any class, or undefined. */
export function checkWritableOr(what: string, value: unknown): void {
  if (value === undefined) return;
  const isStream = reading(what, () => {
    const { write, end, on } = (value ?? {}) as Record<string, unknown>;
    return [write, end, on].every((method) => typeof method === 'function');
  });
  if (!isStream) throw invalid(what, value, 'a writable stream');
}

/** Returns the text, if UTF-8 can represent it, it is not empty, and it has no zero character. */
export function checkText(what: string, value: unknown): string {
  if (typeof value === 'string' && value.length > 0 && !value.includes('\0') && value.isWellFormed()) return value;
  throw invalid(what, value, 'text that is not empty, has no zero character, and no half of a surrogate pair');
}

/**
 * Returns a copy of the options, if they are an object without unknown names: a misspelt option must not be ignored.
 * Each option is read here, once, so that the value that is checked is also the value that is used.
 */
export function checkOptions<T extends object>(what: string, value: T | undefined, known: readonly (keyof T)[]): T {
  if (value === undefined) return {} as T;
  return reading(what, () => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalid(what, value, 'an object');
    for (const name of Object.keys(value)) {
      if (known.includes(name as keyof T)) continue;
      throw new BlobstoreError('EINVAL', `${what}: there is no option '${name}'; the options are ${known.join(', ')}`);
    }
    const symbols = Object.getOwnPropertySymbols(value) as (keyof T)[]; // internal options have symbols as keys
    const given = [...known, ...symbols].map((name) => [name, value[name]] as const);
    return Object.fromEntries(given.filter(([, option]) => option !== undefined)) as T;
  });
}

/**
 * Reads an object that a user passes. If it is a proxy, or has getters, reading can throw. Then throws EINVAL, with
 * that error as the cause.
 */
export function reading<T>(what: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (cause instanceof BlobstoreError) throw cause;
    throw new BlobstoreError('EINVAL', `${what} cannot be read: a getter or proxy of it throws`, { cause });
  }
}
