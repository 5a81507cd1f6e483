/** `npm run torture -- [--rounds N] [--seed S] …`: see `USAGE`. */

import { parseArgs } from 'node:util';
import { DEFAULTS, DURABILITIES, MODES, type TortureOptions, torture } from './torture.js';

const USAGE = `Usage: npm run torture -- [OPTION…]
Processes that use a store in a file, on several threads, are killed at random moments, while they open and close it too;
each time the next one has to find everything that was acknowledged, and the store sound.
  --rounds N          processes, one after another; ${DEFAULTS.rounds} unless given
  --seed S            what they do and how long they live; a new one unless given
  --threads T         I/O threads, attached threads, from 1 to 8; ${DEFAULTS.threads} unless given
  --mode MODE         inline, pool: a store with I/O threads, attached: threads attached to a store of one thread,
                      mixed: both; each in turn unless given
  --durability LEVEL  power-loss or process-crash; each in turn unless given
  --folder PATH       where the files lie; the system's folder for temporary files unless given
  --help              this text`;

class UsageError extends Error {}

function parse(args: string[]): TortureOptions {
  const { values } = parseArgs({
    args,
    options: {
      rounds: { type: 'string' },
      seed: { type: 'string' },
      threads: { type: 'string' },
      mode: { type: 'string' },
      durability: { type: 'string' },
      folder: { type: 'string' },
    },
  });
  return {
    ...DEFAULTS,
    rounds: numberOf('rounds', values.rounds, 1, 1e6) ?? DEFAULTS.rounds,
    seed: numberOf('seed', values.seed, 0, 0xffff_ffff) ?? Math.floor(Math.random() * 2 ** 32),
    threads: numberOf('threads', values.threads, 1, 8) ?? DEFAULTS.threads,
    mode: choiceOf('mode', values.mode, MODES),
    durability: choiceOf('durability', values.durability, DURABILITIES),
    folder: values.folder,
  };
}

function numberOf(name: string, text: string | undefined, least: number, most: number): number | undefined {
  if (text === undefined) return undefined;
  const value = text.trim() === '' ? Number.NaN : Number(text);
  if (Number.isInteger(value) && value >= least && value <= most) return value;
  throw new UsageError(`--${name} ${text}: it must be a whole number from ${least} to ${most}`);
}

function choiceOf<T extends string>(name: string, text: string | undefined, choices: readonly T[]): T | undefined {
  if (text === undefined) return undefined;
  const choice = choices.find((each) => each === text);
  if (choice !== undefined) return choice;
  throw new UsageError(`--${name} ${text}: it must be ${choices.join(' or ')}`);
}

function optionsOrUsage(): TortureOptions | undefined {
  try {
    return parse(process.argv.slice(2));
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : error}\n${USAGE}`);
    return undefined;
  }
}

function describe({ rounds, seed, threads, mode, durability, folder }: TortureOptions): string {
  const given = Object.entries({ rounds, seed, threads, mode, durability, folder });
  return given.flatMap(([name, value]) => (value === undefined ? [] : [`--${name} ${value}`])).join(' ');
}

async function main(options: TortureOptions): Promise<number> {
  console.log(`torture ${describe(options)}`);
  const onRound = (round: number) => {
    if ((round + 1) % 25 === 0) console.error(`${round + 1} rounds`);
  };
  const { rounds, findings, counts, kept } = await torture({ ...options, onRound });
  const told = Object.entries(counts).map(([what, count]) => `${what} ${count}`);
  console.log(`${rounds} rounds: ${told.join(', ')}`);
  if (findings.length === 0) {
    console.log('Nothing was lost.');
    return 0;
  }
  console.log(`${findings.length} findings:`);
  for (const finding of findings) console.log(`  ${finding}`);
  if (kept !== undefined) console.log(`The store as its process left it: ${kept}, and what was done: ${kept}.log`);
  console.log(`The same operations again, killed at about the same moments: npm run torture -- ${describe(options)}`);
  return 1;
}

if (process.argv.includes('--help')) {
  console.log(USAGE);
  process.exit(0);
}
const options = optionsOrUsage();
// What hangs must not keep the process.
process.exit(options === undefined ? 2 : await main(options));
