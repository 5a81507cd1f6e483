/** Options for starting threads. */

/**
 * Returns the `execArgv` of a thread whose program is a file. Undefined means the options of this process. If these
 * include `--input-type`, returns an empty list: that option is for programs on the command line, and Node.js refuses
 * it for a file.
 */
export function execArgvForFiles(): string[] | undefined {
  return process.execArgv.some((option) => option.startsWith('--input-type')) ? [] : undefined;
}
