/** `npm run stress -- [--seed S] [--seconds N] [--threads T] …`: see `USAGE`. */

import { parseArgs } from 'node:util';
import { choiceOf, numberOf, runCommand, say, wholeNumberOf } from '../command-line.js';
import { MEDIA } from './medium.js';
import { DEFAULTS, type StressOptions, stress } from './stress.js';

const USAGE = `Usage: npm run stress -- [OPTION…]
Threads write, read, zero and trim overlapping blobs while others snapshot, clone, inflate, delete, resize and grow;
then every block is checked, also after a reload and after a crash.
  --seed S            the same seed gives the same operations; default: a new seed
  --seconds N         how long the threads work, from 0.1; default ${DEFAULTS.seconds}
  --threads T         the number of attached threads or I/O workers, from 1 to 8; default ${DEFAULTS.threads}
  --device KIND       memory, file, slow (memory that is sometimes slow, which makes races more likely), or
                      async (the same in promise form only); default ${DEFAULTS.device}
  --mode MODE         attached: threads attached to a store of one thread; pool: a store with I/O workers;
                      mixed: both at once; default ${DEFAULTS.mode}
  --durability LEVEL  power-loss or process-crash; default ${DEFAULTS.durability}
  --kill              kills attached threads from time to time
  --help              this text`;

/** Returns undefined for `--help`. */
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
  return {
    seed: wholeNumberOf('seed', values.seed, 0) ?? Math.floor(Math.random() * 2 ** 32),
    seconds: numberOf('seconds', values.seconds, 0.1, 1e6) ?? DEFAULTS.seconds,
    threads: wholeNumberOf('threads', values.threads, 1, 8) ?? DEFAULTS.threads,
    device: choiceOf('device', values.device, MEDIA) ?? DEFAULTS.device,
    mode: choiceOf('mode', values.mode, ['attached', 'pool', 'mixed']) ?? DEFAULTS.mode,
    durability: choiceOf('durability', values.durability, ['power-loss', 'process-crash']) ?? DEFAULTS.durability,
    kill: values.kill ?? DEFAULTS.kill,
  };
}

function describe({ seed, seconds, threads, device, mode, durability, kill }: StressOptions): string {
  const flags = `--seed ${seed} --seconds ${seconds} --threads ${threads} --device ${device} --mode ${mode}`;
  return `${flags} --durability ${durability}${kill ? ' --kill' : ''}`;
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
  if (findings.length === 0) return say('All blocks are as they can be.');
  console.log(`${findings.length} contradictions:`);
  for (const finding of findings) console.log(`  ${finding}`);
  console.log(`Replay the same operations by: npm run stress -- ${describe(options)}`);
  return 1;
}

await runCommand(USAGE, parse, runStress);
