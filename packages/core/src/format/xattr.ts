/**
 * The xattr descriptors: name length (u16), value length (u16), name, value. Names are bytes other than zero. In memory
 * they are strings with one character for each byte, so that any name on a disk keeps its bytes.
 */

import { DESCRIPTOR, DESCRIPTOR_HEADER_BYTES, writeDescriptorHeader } from './descriptor.js';
import { DESCRIPTORS_BYTES } from './md-page.js';

const LENGTHS_BYTES = 4;

/** The largest xattr descriptor that fits into a page, in bytes, with its header, name and value. */
export const XATTR_DESCRIPTOR_BYTES_MAX = DESCRIPTORS_BYTES;
/** The most bytes that the name and value of an xattr can have together. */
export const XATTR_BYTES_MAX = DESCRIPTORS_BYTES - DESCRIPTOR_HEADER_BYTES - LENGTHS_BYTES;

/** A named value of a blob. */
export interface Xattr {
  /** One character for each byte. */
  name: string;
  value: Uint8Array;
}

/** Bytes of the whole descriptor of an xattr, with its header. */
export function xattrDescriptorBytes(xattr: Xattr): number {
  return DESCRIPTOR_HEADER_BYTES + LENGTHS_BYTES + xattr.name.length + xattr.value.length;
}

/** Writes the descriptor. Returns how many bytes it takes. */
export function encodeXattr(page: Uint8Array, view: DataView, at: number, xattr: Xattr, internal: boolean): number {
  const { name, value } = xattr;
  const type = internal ? DESCRIPTOR.XATTR_INTERNAL : DESCRIPTOR.XATTR;
  const payload = writeDescriptorHeader(view, at, type, LENGTHS_BYTES + name.length + value.length);
  view.setUint16(payload, name.length, true);
  view.setUint16(payload + 2, value.length, true);
  const nameAt = payload + LENGTHS_BYTES;
  for (let index = 0; index < name.length; index++) page[nameAt + index] = name.charCodeAt(index);
  page.set(value, nameAt + name.length);
  return xattrDescriptorBytes(xattr);
}

/** The xattr in a descriptor, with a copy of its value. Undefined when the lengths do not add up. */
export function decodeXattr(
  page: Uint8Array,
  view: DataView,
  payloadAt: number,
  payloadBytes: number,
): Xattr | undefined {
  if (payloadBytes < LENGTHS_BYTES) return undefined;
  const nameBytes = view.getUint16(payloadAt, true);
  const valueBytes = view.getUint16(payloadAt + 2, true);
  if (payloadBytes !== LENGTHS_BYTES + nameBytes + valueBytes) return undefined;
  const nameAt = payloadAt + LENGTHS_BYTES;
  const valueAt = nameAt + nameBytes;
  return { name: bytesToName(page, nameAt, valueAt), value: page.slice(valueAt, valueAt + valueBytes) };
}

/** The name in a range of bytes. It ends at the first zero byte, as a C string does. */
function bytesToName(page: Uint8Array, start: number, end: number): string {
  let name = '';
  for (let at = start; at < end && page[at] !== 0; at++) name += String.fromCharCode(page[at]);
  return name;
}
