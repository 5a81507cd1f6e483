/**
 * Checks of what users pass, for all packages. Each failure is EINVAL; the message says what was given and what is
 * allowed.
 */

import { describeValue } from './describe-value.js';
import { BlobstoreError } from './error.js';

/** Returns the value if it is a whole number from `least` to `most`, both included. */
export function checkInteger(name: string, value: unknown, least: number, most: number): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= least && value <= most) return value;
  throw invalid(name, value, `a whole number from ${least} to ${most}`);
}

/** Returns the value if it is a function. */
export function checkFunction<T>(name: string, value: T): T {
  if (typeof value === 'function') return value;
  throw invalid(name, value, 'a function');
}

/** Returns the value if it is a multiple of `unit` from 0 to `most`. */
export function checkMultiple(name: string, value: unknown, unit: number, most: number): number {
  const whole = checkInteger(name, value, 0, most);
  if (whole % unit === 0) return whole;
  throw invalid(name, value, `a multiple of the block length, ${unit}, such as ${whole - (whole % unit) + unit}`);
}

/** Returns the value if it is a boolean; `fallback` if it is undefined. */
export function checkBoolean(name: string, value: unknown, fallback: boolean): boolean {
  if (value === undefined) return fallback;
  if (typeof value === 'boolean') return value;
  throw invalid(name, value, 'true or false');
}

/** Returns the value if it is one of the choices; the first choice if it is undefined. */
export function checkChoice<const T extends string>(name: string, value: unknown, choices: readonly [T, ...T[]]): T {
  if (value === undefined) return choices[0];
  const choice = choices.find((candidate) => candidate === value);
  if (choice !== undefined) return choice;
  throw invalid(name, value, choices.map((candidate) => `'${candidate}'`).join(' or '));
}

/** Returns the value if it is a string that is not empty and has no zero character, which would end a path early. */
export function checkText(name: string, value: unknown): string {
  if (typeof value === 'string' && value.length > 0 && !value.includes('\0')) return value;
  throw invalid(name, value, 'a string that is not empty');
}

/** Returns a copy of the value if it is an object with only known properties: a misspelt option must not be ignored. */
export function checkObject(name: string, value: unknown, known: readonly string[]): Record<string, unknown> {
  const object = checkAnyObject(name, value);
  for (const key of Object.keys(object)) {
    if (known.includes(key)) continue;
    throw new BlobstoreError('EINVAL', `${name} has no option '${key}'; its options are ${known.join(', ')}`);
  }
  return object;
}

/** Returns a copy of the value if it is an object and not an array. A copy cannot change between check and use. */
export function checkAnyObject(name: string, value: unknown, wanted = 'an object'): Record<string, unknown> {
  try {
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value };
  } catch (cause) {
    throw new BlobstoreError('EINVAL', `${name} cannot be read: reading its properties throws`, { cause });
  }
  throw invalid(name, value, wanted);
}

/** True for an array whose buffer is detached, or has become too small for it. Such an array has length 0. */
function isDetached(array: Uint8Array): boolean {
  try {
    array.at(0);
    return false;
  } catch {
    return true;
  }
}

/**
 * The getter of a typed array's type name. Calling it directly allocates nothing. For any other value it returns
 * undefined.
 */
const { get: nameOfArray } = Object.getOwnPropertyDescriptor(
  Object.getPrototypeOf(Uint8Array.prototype),
  Symbol.toStringTag,
) as { get: () => string | undefined };

/** True only for a real `Uint8Array`, of any realm, not for an object of the same shape. */
export function isBytes(value: unknown): value is Uint8Array {
  return nameOfArray.call(value) === 'Uint8Array';
}

/** Returns the value if it is a `Uint8Array` that still has its memory. */
export function checkBytes(name: string, value: unknown): Uint8Array {
  if (!isBytes(value)) throw invalid(name, value, 'a Uint8Array (a Buffer is one)');
  if (value.byteLength > 0 || !isDetached(value)) return value;
  throw new BlobstoreError(
    'EINVAL',
    `the memory of ${name} was transferred elsewhere, or made smaller; pass an array that still has its memory`,
  );
}

/** The error for an invalid value. */
export function invalid(name: string, value: unknown, wanted: string): BlobstoreError {
  return new BlobstoreError('EINVAL', `${name} is ${describeValue(value)}; it must be ${wanted}`);
}
