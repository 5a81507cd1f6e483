/** Checks of what a user passes as options: each failure is EINVAL, says what was given and what would do. */

import { types } from 'node:util';
import { BlobstoreError } from '@blobyard/core';
import { describeValue } from './describe-value.js';

/** The value, if it is a whole number from `least` to `most`; both bounds are allowed values. */
export function checkInteger(name: string, value: unknown, least: number, most: number): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= least && value <= most) return value;
  throw invalid(name, value, `a whole number from ${least} to ${most}`);
}

/** The value, if it is a whole number from 0 to `most` that `unit` divides. */
export function checkMultiple(name: string, value: unknown, unit: number, most: number): number {
  const whole = checkInteger(name, value, 0, most);
  if (whole % unit === 0) return whole;
  throw invalid(name, value, `a multiple of the block length, ${unit}, such as ${whole - (whole % unit) + unit}`);
}

/** The value, if it is a boolean; `fallback` if it is not given. */
export function checkBoolean(name: string, value: unknown, fallback: boolean): boolean {
  if (value === undefined) return fallback;
  if (typeof value === 'boolean') return value;
  throw invalid(name, value, 'true or false');
}

/** The value, if it is one of the choices; the first of them if it is not given. */
export function checkChoice<const T extends string>(name: string, value: unknown, choices: readonly [T, ...T[]]): T {
  if (value === undefined) return choices[0];
  const choice = choices.find((candidate) => candidate === value);
  if (choice !== undefined) return choice;
  throw invalid(name, value, choices.map((candidate) => `'${candidate}'`).join(' or '));
}

/** The value, if it is a string with something in it, and without the zero character that ends a path early. */
export function checkText(name: string, value: unknown): string {
  if (typeof value === 'string' && value.length > 0 && !value.includes('\0')) return value;
  throw invalid(name, value, 'a string that is not empty');
}

/** The value, if it is an object whose properties all have a known name: a misspelt option must not pass unseen. */
export function checkObject(name: string, value: unknown, known: readonly string[]): Record<string, unknown> {
  const object = checkAnyObject(name, value);
  for (const key of Object.keys(object)) {
    if (known.includes(key)) continue;
    throw new BlobstoreError('EINVAL', `${name} has no option '${key}'; its options are ${known.join(', ')}`);
  }
  return object;
}

/** A copy of the value, if it is an object and no array: what is checked then is what is used. */
export function checkAnyObject(name: string, value: unknown, wanted = 'an object'): Record<string, unknown> {
  try {
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value };
  } catch (cause) {
    throw new BlobstoreError('EINVAL', `${name} cannot be read: looking at it throws`, { cause });
  }
  throw invalid(name, value, wanted);
}

/** True for an array whose memory is gone, or has become too small for it; such an array looks like an empty one. */
export function isDetached(array: Uint8Array): boolean {
  try {
    array.at(0);
    return false;
  } catch {
    return true;
  }
}

/** EINVAL unless it is bytes that are there. */
export function checkImage(image: unknown): void {
  if (!types.isUint8Array(image) || isDetached(image)) throw invalid('the image', image, 'a Uint8Array');
}

/** The error for an option that cannot be used. */
export function invalid(name: string, value: unknown, wanted: string): BlobstoreError {
  return new BlobstoreError('EINVAL', `${name} is ${describeValue(value)}; it must be ${wanted}`);
}
