/**
 * Formats the output of the commands. Text from an image is escaped, because it may contain terminal control
 * characters.
 */

const UNITS = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

/** A number of bytes, in the largest unit that gives at least 1; with one decimal if it is not whole. */
export function sizeText(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${Number.isInteger(value) ? value : value.toFixed(1)} ${UNITS[unit]}`;
}

/** `1 blob`, `2 blobs`. */
export function countText(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}

/** Characters that control a terminal, or change the text around them: control and format characters, line ends. */
const COMMANDS = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/** Text on one line, with the characters that control a terminal escaped. */
export function printable(text: string): string {
  return text.replace(COMMANDS, (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`);
}

/** A table with a head and aligned columns. The last column is not padded. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [head, ...rows];
  const widths = head.map((_, column) => all.reduce((widest, row) => Math.max(widest, row[column].length), 0));
  const lineOf = (row: readonly string[]) =>
    row.map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[column]))).join('  ');
  return `${all.map(lineOf).join('\n')}\n`;
}

/**
 * A JSON document for programs. Ids are decimal strings, because a JSON number cannot hold all 64-bit ids exactly. The
 * document may be printed on a terminal, so control characters that JSON allows in strings are escaped too.
 */
export function json(value: unknown): string {
  const text = JSON.stringify(value, (_, each) => (typeof each === 'bigint' ? each.toString() : each), 2);
  return `${text.replace(COMMANDS, (character) => (character === '\n' ? character : escapedInJson(character)))}\n`;
}

function escapedInJson(character: string): string {
  const units = Array.from({ length: character.length }, (_, at) => character.charCodeAt(at));
  return units.map((unit) => `\\u${unit.toString(16).padStart(4, '0')}`).join('');
}
