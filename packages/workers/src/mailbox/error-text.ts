/**
 * Errors in shared memory: the code as an errno; the message, and name, code and message of its cause, as UTF-8. Text
 * that does not fit is cut off. The cause is usually an error that a device of the user threw.
 */

import { BlobstoreError, ERRNO, type ErrorCode } from '@blobyard/core';
import { fromWire, toWire, type WireError } from '../threads/wire-error.js';

const CODES = new Map<number, ErrorCode>(Object.entries(ERRNO).map(([code, errno]) => [errno, code as ErrorCode]));
/** Separates the parts of a text. Within a part it is replaced by `SEPARATOR_SHOWN`. */
const SEPARATOR = '\0';
const SEPARATOR_SHOWN = '\u2400';
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Writes an error's message, and name, code and message of its cause. Returns the number of bytes written. */
export function writeError(error: Error, area: Uint8Array): number {
  const { message, cause } = error;
  const parts = cause === undefined ? [message] : [message, ...causeParts(cause)];
  const text = parts.map((part) => part.replaceAll(SEPARATOR, SEPARATOR_SHOWN)).join(SEPARATOR);
  const bytes = new Uint8Array(area.length); // `encodeInto` does not take shared memory on all versions
  const { written } = encoder.encodeInto(text, bytes);
  area.set(bytes.subarray(0, written));
  return written;
}

/** Rebuilds the error from an errno and a text area. */
export function readError(errno: number, area: Uint8Array, bytes: number): BlobstoreError {
  const [message, name, code, text] = decoder.decode(area.slice(0, bytes)).split(SEPARATOR);
  const options = text === undefined ? undefined : { cause: fromWire(causeOf(name, code, text)) };
  return new BlobstoreError(CODES.get(errno) ?? 'EIO', message, options);
}

function causeParts(cause: unknown): string[] {
  try {
    const { name, code, message } = toWire(cause);
    return [name, code ?? '', message].map(String);
  } catch {
    return []; // a thrown value can be anything, also an object whose properties throw
  }
}

function causeOf(name: string, code: string, message: string): WireError {
  return { name, code: code === '' ? undefined : code, message, stack: undefined, cause: undefined };
}
