/** How a value that a user passed is shown in a message. */

import { inspect, types } from 'node:util';

/** A value for a message. Of arrays and memory only what they are: what is in them may be nobody else's business. */
export function describeValue(value: unknown): string {
  if (typeof value === 'object' && value !== null) return describeObject(value);
  return inspect(value, { breakLength: Number.POSITIVE_INFINITY, maxStringLength: 100 });
}

function describeObject(value: object): string {
  if (types.isProxy(value)) return 'a proxy';
  if (ArrayBuffer.isView(value))
    return `a ${Object.prototype.toString.call(value).slice(8, -1)} of ${value.byteLength} bytes`;
  if (types.isAnyArrayBuffer(value)) return `memory of ${value.byteLength} bytes`;
  if (Array.isArray(value)) return `an array of ${value.length}`;
  try {
    return inspect(value, {
      depth: 0,
      breakLength: Number.POSITIVE_INFINITY,
      maxStringLength: 100,
      customInspect: false,
    });
  } catch {
    return 'an object that cannot be looked at';
  }
}
