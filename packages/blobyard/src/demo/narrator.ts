/** Prints the output of the demo: sentences with the time that a step took, in colour only on a terminal. */

const IS_COLOURED = process.stdout.isTTY === true && !process.env.NO_COLOR;
const INDENT = '   ';

/**
 * Text in a colour, if the output is a terminal.
 * @param sgr - the ANSI (SGR) code of the colour, or of bold or faint; undefined: plain text
 */
export function coloured(text: string, sgr: number | undefined): string {
  return IS_COLOURED && sgr !== undefined ? `\u001b[${sgr}m${text}\u001b[0m` : text;
}

let chapters = 0;

export function chapter(title: string): void {
  chapters++;
  console.log(`\n${coloured(`${chapters}. ${title}`, 1)}`);
}

export function say(sentence: string): void {
  console.log(INDENT + sentence);
}

/** Executes an action, then prints what it did and how long it took. */
export async function timed<T>(action: () => T | Promise<T>, sentence: (result: T) => string): Promise<T> {
  const start = performance.now();
  const result = await action();
  say(`${sentence(result)} ${coloured(`(${milliseconds(performance.now() - start)})`, 2)}`);
  return result;
}

/** Ends the demo with an error unless the condition holds. */
export function verify(isSo: boolean, what: string): void {
  if (!isSo) throw new Error(`not verified: ${what}`);
}

export function milliseconds(time: number): string {
  return time < 10 ? `${time.toFixed(1)} ms` : `${Math.round(time)} ms`;
}

export function bytesText(bytes: number): string {
  const [unit, size] = bytes >= 1 << 20 ? (['MiB', 1 << 20] as const) : (['KiB', 1 << 10] as const);
  const value = bytes / size;
  return `${Number.isInteger(value) ? value : value.toFixed(1)} ${unit}`;
}
