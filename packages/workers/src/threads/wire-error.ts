/**
 * Sends errors between threads. A posted error loses its class, its code and all other properties except its message.
 * So errors are sent as plain objects, and created again on the other side.
 */

import { BlobstoreError, DamagedStoreError, type ErrorCode, InvariantError } from '@blobyard/core';

export interface WireError {
  readonly name: string;
  /** The code of a `BlobstoreError`, or of an error of Node.js. */
  readonly code: string | undefined;
  readonly message: string;
  readonly stack: string | undefined;
  readonly cause: WireCause | undefined;
  /** The damage of a `DamagedStoreError`. */
  readonly damaged?: readonly WireDamage[];
}

interface WireDamage {
  readonly id: bigint;
  readonly error: WireError;
}

type WireCause =
  | { readonly kind: 'error'; readonly error: WireError }
  | { readonly kind: 'value'; readonly value: unknown }
  | { readonly kind: 'elsewhere'; readonly which: ElsewhereKind };

type ElsewhereKind = 'signal' | 'callback';

/** Stands for a cause that only the client has: the reason of its signal, or the error of its callback. */
export class CauseElsewhere {
  readonly which: ElsewhereKind;

  constructor(which: ElsewhereKind) {
    this.which = which;
  }
}

/** The result of a method, as it is sent in a message. */
export type Envelope<T> = { readonly ok: T } | { readonly error: WireError };

/** The longest chain of causes (of causes) that is sent; the rest is left out. */
const CAUSES_MAX = 8;

/** Returns an error in the form in which it is sent. A value that is not an error is sent as an error with its text. */
export function toWire(error: unknown, causesMax = CAUSES_MAX): WireError {
  if (!(error instanceof Error)) return toWire(new Error(String(error)), causesMax);
  const { name, message, stack } = error;
  const { code: given } = error as { code?: unknown };
  const code = typeof given === 'string' ? given : undefined;
  const cause = causesMax > 0 ? wireCause(error.cause, causesMax - 1) : undefined;
  const wire = { name, code, message, stack, cause };
  if (!(error instanceof DamagedStoreError)) return wire;
  return { ...wire, damaged: error.damaged.map((each) => ({ id: each.id, error: toWire(each.error, causesMax) })) };
}

/** Returns the error that was sent. */
export function fromWire(wire: WireError): Error {
  const error = newError(wire);
  if (wire.stack !== undefined) error.stack = wire.stack;
  return error;
}

/** Returns the error of a call whose message could not be posted: EINVAL if an argument cannot be cloned. */
export function notPosted(error: Error): Error {
  if (error.name !== 'DataCloneError') return error;
  return new BlobstoreError('EINVAL', `an argument cannot be sent to the metadata thread: ${error.message}`, {
    cause: error,
  });
}

function newError({ name, code, message, cause, damaged }: WireError): Error {
  if (damaged) {
    const found = damaged.map(({ id, error }) => ({ id, error: fromWire(error) as BlobstoreError }));
    return new DamagedStoreError(message, found);
  }
  const options = cause === undefined ? undefined : { cause: causeFrom(cause) };
  if (name === 'BlobstoreError') return new BlobstoreError(code as ErrorCode, message, options);
  const error = name === 'InvariantError' ? new InvariantError('') : new Error(message, options);
  return Object.assign(error, { name, message }, code === undefined ? {} : { code });
}

function wireCause(cause: unknown, causesMax: number): WireCause | undefined {
  if (cause === undefined) return undefined;
  if (cause instanceof CauseElsewhere) return { kind: 'elsewhere', which: cause.which };
  if (cause instanceof Error) return { kind: 'error', error: toWire(cause, causesMax) };
  return { kind: 'value', value: canBePosted(cause) ? cause : String(cause) };
}

function causeFrom(cause: WireCause): unknown {
  switch (cause.kind) {
    case 'error':
      return fromWire(cause.error);
    case 'value':
      return cause.value;
    case 'elsewhere':
      return new CauseElsewhere(cause.which);
  }
}

function canBePosted(value: unknown): boolean {
  try {
    structuredClone(value);
    return true;
  } catch {
    return false;
  }
}
