/** The memory that users pass to reads and writes: arrays of any kind, memory, text. All become views of bytes. */

import { types } from 'node:util';
import { checkBytes, invalid, isBytes, reading } from './checks.js';

/** Returns the bytes to write: a view of the memory that was given, or those of a text. Throws EINVAL. */
export function checkData(what: string, data: unknown, encoding: BufferEncoding = 'utf8'): Uint8Array {
  if (typeof data === 'string') return Buffer.from(data, encoding);
  if (types.isAnyArrayBuffer(data)) return bytesOf(what, data);
  return checkView(what, data, 'text, an array of numbers, or an ArrayBuffer');
}

/** Returns the bytes of an array of any kind. Throws EINVAL. */
export function checkView(what: string, view: unknown, wanted = 'a Uint8Array or another view'): Uint8Array {
  if (isBytes(view)) return checkBytes(what, view);
  if (ArrayBuffer.isView(view)) return bytesOf(what, view as NodeJS.ArrayBufferView);
  throw invalid(what, view, wanted);
}

/** Returns the bytes to write of each element of a list. Throws EINVAL. */
export function checkDataList(what: string, list: unknown, encoding?: BufferEncoding): readonly Uint8Array[] {
  return checkList(what, list, 'what can be written', (name, each) => checkData(name, each, encoding));
}

/** Returns the bytes of each array of a list. Throws EINVAL. */
export function checkViewList(what: string, list: unknown): readonly Uint8Array[] {
  return checkList(what, list, 'Uint8Arrays or other views', (name, each) => checkView(name, each));
}

/** Returns the encoding of texts among the data. Throws EINVAL if Node.js does not know it. */
export function checkEncodingOr(encoding: BufferEncoding | undefined): BufferEncoding | undefined {
  if (encoding === undefined || (typeof encoding === 'string' && Buffer.isEncoding(encoding))) return encoding;
  throw invalid('encoding', encoding, "an encoding of Node.js, such as 'utf8' or 'latin1'");
}

function checkList(
  what: string,
  list: unknown,
  wanted: string,
  check: (name: string, each: unknown) => Uint8Array,
): readonly Uint8Array[] {
  return reading(what, () => {
    if (!Array.isArray(list)) throw invalid(what, list, `an array of ${wanted}`);
    const checked: Uint8Array[] = [];
    for (let index = 0; index < list.length; index++) {
      const each: unknown = list[index];
      // The name of an element is made only for its error.
      checked.push(isBytes(each) && each.byteLength > 0 ? each : check(`${what}[${index}]`, each));
    }
    return checked;
  });
}

/** A view of the bytes of other memory. Throws EINVAL if the memory is gone. */
function bytesOf(what: string, memory: NodeJS.ArrayBufferView | ArrayBufferLike): Uint8Array {
  try {
    if (!ArrayBuffer.isView(memory)) return new Uint8Array(memory);
    return new Uint8Array(memory.buffer, memory.byteOffset, memory.byteLength);
  } catch {
    throw invalid(what, memory, 'one that still has its memory: it was transferred elsewhere, or made smaller');
  }
}
