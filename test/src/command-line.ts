/** What the commands of this package have in common: they parse options, and refuse wrong ones with a message. */

import { MUTATIONS, type Mutation } from './sim/mutations.js';

/** A wrong option. The command prints the message with its usage, and its exit status is 2. */
export class UsageError extends Error {}

const U32_MAX = 0xffff_ffff;

/** The value of an option that takes an integer; undefined without the option. Throws `UsageError` for other values. */
export function wholeNumberOf(
  name: string,
  text: string | undefined,
  least: number,
  most = U32_MAX,
): number | undefined {
  const value = numberOf(name, text, least, most);
  if (value === undefined || Number.isInteger(value)) return value;
  throw new UsageError(`--${name} ${text}: it must be a whole number`);
}

/** The value of an option that takes a number; undefined without the option. Throws `UsageError` for other values. */
export function numberOf(name: string, text: string | undefined, least: number, most: number): number | undefined {
  if (text === undefined) return undefined;
  const value = text.trim() === '' ? Number.NaN : Number(text);
  if (value >= least && value <= most) return value;
  throw new UsageError(`--${name} ${text}: it must be a number from ${least} to ${most}`);
}

/** The value of an option that takes one of `choices`; undefined without it. Throws `UsageError` for other values. */
export function choiceOf<T extends string>(
  name: string,
  text: string | undefined,
  choices: readonly T[],
): T | undefined {
  if (text === undefined) return undefined;
  const choice = choices.find((each) => each === text);
  if (choice !== undefined) return choice;
  throw new UsageError(`--${name} ${text}: it must be ${choices.join(' or ')}`);
}

/**
 * The mutation that `--without` names; undefined without the option. Throws `UsageError` if there is no such mutation.
 */
export function mutationOf(name: string | undefined): Mutation | undefined {
  if (name === undefined) return undefined;
  const mutation = MUTATIONS.find((each) => each.name === name);
  if (mutation) return mutation;
  throw new UsageError(`--without ${name}: there is no such fault; --without list names them`);
}

/** Prints a text. Returns 0, the exit status of success. */
export function say(text: string): number {
  console.log(text);
  return 0;
}

/**
 * Runs a command, then ends the process, so that a thread or a timer that is left over cannot keep it alive. Exit
 * status 2: wrong arguments.
 *
 * @param parse Returns the parsed arguments; undefined when only the usage is to be printed.
 * @param main Executes the command. Returns the exit status.
 */
export async function runCommand<T>(
  usage: string,
  parse: (args: string[]) => T | undefined,
  main: (command: T) => Promise<number> | number,
): Promise<never> {
  process.exit(await statusOf(usage, parse, main));
}

async function statusOf<T>(
  usage: string,
  parse: (args: string[]) => T | undefined,
  main: (command: T) => Promise<number> | number,
): Promise<number> {
  let command: T | undefined;
  try {
    command = parse(process.argv.slice(2));
  } catch (error) {
    if (!isUsageError(error)) throw error;
    console.error(`${error.message}\n${usage}`);
    return 2;
  }
  return command === undefined ? say(usage) : await main(command);
}

/** True for a `UsageError`, and for the errors that Node's `parseArgs` throws for wrong arguments. */
function isUsageError(error: unknown): error is Error {
  const { code } = error as { code?: unknown };
  return error instanceof UsageError || (typeof code === 'string' && code.startsWith('ERR_PARSE_ARGS'));
}
