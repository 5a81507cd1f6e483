/** `npm run torture -- [--rounds N] [--seed S] …`: see `USAGE`. */

import { parseArgs } from 'node:util';
import { choiceOf, runCommand, say, wholeNumberOf } from '../command-line.js';
import { DEFAULTS, DURABILITIES, MODES, type TortureOptions, torture } from './torture.js';

const USAGE = `Usage: npm run torture -- [OPTION…]
Processes that use a store in a file, on several threads, are killed at random moments, also while they open or close it.
Each time the next process must find all acknowledged changes, and a store without damage.
  --rounds N          the number of processes, one after another; default ${DEFAULTS.rounds}
  --seed S            decides what the processes do and how long they live; default: a new seed
  --threads T         the number of I/O workers, or of attached threads, from 1 to 8; default ${DEFAULTS.threads}
  --mode MODE         inline; pool: a store with I/O workers; attached: threads attached to a store of one thread;
                      mixed: both; default: each in turn
  --durability LEVEL  power-loss or process-crash; default: each in turn
  --folder PATH       the folder of the files; default: the system's folder for temporary files
  --help              this text`;

/** Returns undefined for `--help`. */
function parse(args: string[]): TortureOptions | undefined {
  const { values } = parseArgs({
    args,
    options: {
      rounds: { type: 'string' },
      seed: { type: 'string' },
      threads: { type: 'string' },
      mode: { type: 'string' },
      durability: { type: 'string' },
      folder: { type: 'string' },
      help: { type: 'boolean' },
    },
  });
  if (values.help) return undefined;
  return {
    ...DEFAULTS,
    rounds: wholeNumberOf('rounds', values.rounds, 1, 1e6) ?? DEFAULTS.rounds,
    seed: wholeNumberOf('seed', values.seed, 0) ?? Math.floor(Math.random() * 2 ** 32),
    threads: wholeNumberOf('threads', values.threads, 1, 8) ?? DEFAULTS.threads,
    mode: choiceOf('mode', values.mode, MODES),
    durability: choiceOf('durability', values.durability, DURABILITIES),
    folder: values.folder,
  };
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
  if (findings.length === 0) return say('Nothing was lost.');
  console.log(`${findings.length} findings:`);
  for (const finding of findings) console.log(`  ${finding}`);
  if (kept !== undefined)
    console.log(`The store as its process left it: ${kept}; the log of its operations: ${kept}.log`);
  console.log(`The same operations again, killed at about the same moments: npm run torture -- ${describe(options)}`);
  return 1;
}

await runCommand(USAGE, parse, main);
