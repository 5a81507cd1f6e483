/** What the demo says: plain sentences, each with the time that it took, and colour only where a person looks. */

const IS_COLOURED = process.stdout.isTTY === true && !process.env.NO_COLOR;
const INDENT = '   ';

/** Text in a colour of the terminal, if there is one. */
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

/** Does something, then says what it was and how long it took. */
export async function timed<T>(action: () => T | Promise<T>, sentence: (result: T) => string): Promise<T> {
  const start = performance.now();
  const result = await action();
  say(`${sentence(result)} ${coloured(`(${milliseconds(performance.now() - start)})`, 2)}`);
  return result;
}

/** Ends the demo unless what was to be verified is so. */
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
