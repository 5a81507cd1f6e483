/** `npm run stress -- [--seed S] [--seconds N] [--threads T] …`: see `USAGE`. */

import { parseArgs } from 'node:util';
import { MEDIA } from './medium.js';
import { DEFAULTS, type StressOptions, stress } from './stress.js';

const USAGE = `Usage: npm run stress -- [OPTION…]
Threads write, read, zero and trim overlapping blobs while others snapshot, clone, inflate, delete, resize and grow;
then every block is checked, also after a reload and after a crash.
  --seed S            what is done: the same operations for the same seed; a new one unless given
  --seconds N         how long threads work, from 0.1; ${DEFAULTS.seconds} unless given
  --threads T         attached threads, or I/O threads, from 1 to 8; ${DEFAULTS.threads} unless given
  --device KIND       memory, file, slow (memory that takes its time now and then, so that threads overtake each
                      other more), async (the same in promise form only); ${DEFAULTS.device} unless given
  --mode MODE         attached: threads attached to a store of one thread; pool: a store with I/O threads;
                      mixed: both at once; ${DEFAULTS.mode} unless given
  --durability LEVEL  power-loss or process-crash; ${DEFAULTS.durability} unless given
  --kill              attached threads are killed now and then
  --help              this text`;

class UsageError extends Error {}

/** Answers undefined when only help is wanted. */
function parse(args: string[]): StressOptions | undefined {
  const { values } = parseArgs({
    args,
    options: {
      seed: { type: 'string' },
      seconds: { type: 'string' },
      threads: { type: 'string' },
      device: { type: 'string' },
      mode: { type: 'string' },
      durability: { type: 'string' },
      kill: { type: 'boolean' },
      help: { type: 'boolean', short: 'h' },
    },
  });
  if (values.help) return undefined;
  const seed = numberOf('seed', values.seed, 0, 0xffff_ffff) ?? Math.floor(Math.random() * 2 ** 32);
  const threads = numberOf('threads', values.threads, 1, 8) ?? DEFAULTS.threads;
  if (!Number.isInteger(seed) || !Number.isInteger(threads))
    throw new UsageError('--seed and --threads are whole numbers');
  return {
    seed,
    seconds: numberOf('seconds', values.seconds, 0.1, 1e6) ?? DEFAULTS.seconds,
    threads,
    device: choiceOf('device', values.device, MEDIA) ?? DEFAULTS.device,
    mode: choiceOf('mode', values.mode, ['attached', 'pool', 'mixed']) ?? DEFAULTS.mode,
    durability: choiceOf('durability', values.durability, ['power-loss', 'process-crash']) ?? DEFAULTS.durability,
    kill: values.kill ?? DEFAULTS.kill,
  };
}

function numberOf(name: string, text: string | undefined, least: number, most: number): number | undefined {
  if (text === undefined) return undefined;
  const value = text.trim() === '' ? Number.NaN : Number(text);
  if (value >= least && value <= most) return value;
  throw new UsageError(`--${name} ${text}: it must be a number from ${least} to ${most}`);
}

function choiceOf<T extends string>(name: string, text: string | undefined, choices: readonly T[]): T | undefined {
  if (text === undefined) return undefined;
  const choice = choices.find((each) => each === text);
  if (choice !== undefined) return choice;
  throw new UsageError(`--${name} ${text}: it must be ${choices.join(' or ')}`);
}

function describe({ seed, seconds, threads, device, mode, durability, kill }: StressOptions): string {
  const flags = `--seed ${seed} --seconds ${seconds} --threads ${threads} --device ${device} --mode ${mode}`;
  return `${flags} --durability ${durability}${kill ? ' --kill' : ''}`;
}

/** Answers the exit status. */
async function main(args: string[]): Promise<number> {
  try {
    const options = parse(args);
    if (options !== undefined) return await runStress(options);
    console.log(USAGE);
    return 0;
  } catch (error) {
    if (!isUsageError(error)) throw error;
    console.error(`${error.message}\n${USAGE}`);
    return 2;
  }
}

/** What is wrong with the arguments; `parseArgs` has errors of its own for it. */
function isUsageError(error: unknown): error is Error {
  const { code } = error as { code?: unknown };
  return error instanceof UsageError || (typeof code === 'string' && code.startsWith('ERR_PARSE_ARGS'));
}

async function runStress(options: StressOptions): Promise<number> {
  console.log(`stress ${describe(options)}`);
  const { rounds, findings, counts, workedSeconds } = await stress(options);
  const rate = Math.round((counts.operations ?? 0) / workedSeconds);
  console.log(`${rounds} rounds, ${counts.operations ?? 0} operations on data, ${rate} a second`);
  console.log(
    Object.entries(counts)
      .map(([what, count]) => `${what} ${count}`)
      .join(', '),
  );
  if (findings.length === 0) {
    console.log('All blocks are as they can be.');
    return 0;
  }
  console.log(`${findings.length} contradictions:`);
  for (const finding of findings) console.log(`  ${finding}`);
  console.log(`Replay the same operations by: npm run stress -- ${describe(options)}`);
  return 1;
}

// What hangs must not keep the process.
process.exit(await main(process.argv.slice(2)));
