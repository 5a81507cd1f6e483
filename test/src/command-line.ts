/** What the commands of this package have in common: their options, and what they say of wrong ones. */

import { MUTATIONS, type Mutation } from './sim/mutations.js';

/** An option that the command does not take: it is said with the usage, and the exit status is 2. */
export class UsageError extends Error {}

const U32_MAX = 0xffff_ffff;

/** The whole number that an option gives; undefined when it is not given. Throws `UsageError` for anything else. */
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

/** The number that an option gives; undefined when it is not given. Throws `UsageError` for anything else. */
export function numberOf(name: string, text: string | undefined, least: number, most: number): number | undefined {
  if (text === undefined) return undefined;
  const value = text.trim() === '' ? Number.NaN : Number(text);
  if (value >= least && value <= most) return value;
  throw new UsageError(`--${name} ${text}: it must be a number from ${least} to ${most}`);
}

/** Which of the choices an option gives; undefined when it is not given. Throws `UsageError` for anything else. */
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

/** The fault that `--without` names; undefined when it is not given. Throws `UsageError` when there is no such fault. */
export function mutationOf(name: string | undefined): Mutation | undefined {
  if (name === undefined) return undefined;
  const mutation = MUTATIONS.find((each) => each.name === name);
  if (mutation) return mutation;
  throw new UsageError(`--without ${name}: there is no such fault; --without list names them`);
}

/** Prints a text. Answers the exit status of a command for which all is well. */
export function say(text: string): number {
  console.log(text);
  return 0;
}

/**
 * Runs a command to its end, and ends the process: what hangs must not keep it.
 *
 * @param parse Answers what to do; undefined when only the usage is wanted.
 * @param main Answers the exit status.
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

/** `parseArgs` has errors of its own for what is wrong with the arguments. */
function isUsageError(error: unknown): error is Error {
  const { code } = error as { code?: unknown };
  return error instanceof UsageError || (typeof code === 'string' && code.startsWith('ERR_PARSE_ARGS'));
}
