/** What the commands print, as people read it. What comes from an image is not trusted to be text for a terminal. */

const UNITS = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

/** A number of bytes in the largest unit of which there is one or more, to a tenth. */
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

/** What a terminal obeys, or what changes how the text around it looks: controls, marks of direction, ends of lines. */
const COMMANDS = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/** Text in one line, without anything that a terminal would obey. */
export function printable(text: string): string {
  return text.replace(COMMANDS, (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`);
}

/** Rows below a head, in columns that are as wide as they need to be; all but the last are padded. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [head, ...rows];
  const widths = head.map((_, column) => all.reduce((widest, row) => Math.max(widest, row[column].length), 0));
  const lineOf = (row: readonly string[]) =>
    row.map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[column]))).join('  ');
  return `${all.map(lineOf).join('\n')}\n`;
}

/**
 * A JSON document for programs; ids are decimal strings, because they are larger than a JSON number can be trusted with. It may
 * be printed on a terminal: what JSON itself leaves as it is, is escaped as well.
 */
export function json(value: unknown): string {
  const text = JSON.stringify(value, (_, each) => (typeof each === 'bigint' ? each.toString() : each), 2);
  return `${text.replace(COMMANDS, (character) => (character === '\n' ? character : escapedInJson(character)))}\n`;
}

function escapedInJson(character: string): string {
  const units = Array.from({ length: character.length }, (_, at) => character.charCodeAt(at));
  return units.map((unit) => `\\u${unit.toString(16).padStart(4, '0')}`).join('');
}
