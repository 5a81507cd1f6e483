/** Shows a value that a user passed, for error messages. */

/** The most characters of a text that are shown. */
const TEXT_MAX = 100;

/**
 * A value as text for a message. Objects are shown by their type only, arrays and buffers by type and length: their
 * contents may be private, and reading them may throw.
 */
export function describeValue(value: unknown): string {
  if (typeof value === 'string') return quoted(value);
  if (typeof value === 'bigint') return `${value}n`;
  if (Object.is(value, -0)) return '-0';
  if (typeof value === 'function') return 'a function';
  if (typeof value !== 'object' || value === null) return String(value);
  try {
    return describeObject(value);
  } catch {
    return 'an object that cannot be read';
  }
}

function describeObject(value: object): string {
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (ArrayBuffer.isView(value)) return `a ${typeOf(value)} of ${value.byteLength} bytes`;
  const type = typeOf(value);
  if (type === 'ArrayBuffer' || type === 'SharedArrayBuffer') return `memory of ${Number(byteLengthOf(value))} bytes`;
  return 'an object';
}

function typeOf(value: object): string {
  return Object.prototype.toString.call(value).slice(8, -1);
}

function byteLengthOf(memory: object): unknown {
  return (memory as Partial<ArrayBuffer>).byteLength;
}

/** A text in quotes. Control characters are escaped, so that a terminal does not obey them. */
function quoted(text: string): string {
  const shown = text.slice(0, TEXT_MAX).replace(/[\\'\p{Cc}\p{Cs}]/gu, escaped);
  const left = text.length - TEXT_MAX;
  return left > 0 ? `'${shown}'... ${left} more characters` : `'${shown}'`;
}

function escaped(character: string): string {
  if (character === '\\' || character === "'") return `\\${character}`;
  const code = character.charCodeAt(0);
  return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16)}`;
}
