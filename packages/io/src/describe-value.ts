/** Shows a value that a user passed, for error messages. */

import { inspect, types } from 'node:util';

/** A value as text for a message. Of arrays and memory it shows only type and length: their contents may be private. */
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
    return 'an object that cannot be inspected';
  }
}
