/** Options for starting threads. */

/**
 * Returns the `execArgv` of a thread whose program is a file. Undefined: the options of this process. But if these
 * include `--input-type`, which is for programs on the command line and is refused for a file: no options.
 */
export function execArgvForFiles(): string[] | undefined {
  return process.execArgv.some((option) => option.startsWith('--input-type')) ? [] : undefined;
}
