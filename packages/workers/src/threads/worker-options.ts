/** With what threads are started. */

/**
 * Options of Node.js for threads whose program is a file: those of this process, which `undefined` stands for. But
 * `--input-type`, of programs that are given on the command line, is refused for a file; then there are none.
 */
export function execArgvForFiles(): string[] | undefined {
  return process.execArgv.some((option) => option.startsWith('--input-type')) ? [] : undefined;
}
