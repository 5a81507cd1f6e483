/** `npm run sim -- [--seeds N] [--start S] …`: see `USAGE`. */

import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { mutationOf, runCommand, say, wholeNumberOf } from '../command-line.js';
import { MUTATIONS } from './mutations.js';
import { type PlayOptions, playSeeds } from './play-seeds.js';

const SEEDS_DEFAULT = 1000;

const USAGE = `Usage: npm run sim -- [OPTION…]
Random operations on a store whose device has a volatile write cache. The power is cut at random points, also during
recovery. All that was synced and flushed must be there after the next load. The seed decides everything.
  --seeds N           the number of seeds to play; default ${SEEDS_DEFAULT}
  --start S           the first seed; default 1
  --jobs J            the number of threads that play at once; default: one for each core
  --without NAME      plays with a fault in the engine: a missing write barrier or step, or a wrong order; \`list\`
                      prints all names
  --trace             prints every event, on one thread
  --help              prints this`;

type Command = PlayOptions | 'list';

function parse(args: string[]): Command | undefined {
  const { values } = parseArgs({
    args,
    options: {
      seeds: { type: 'string' },
      start: { type: 'string' },
      jobs: { type: 'string' },
      without: { type: 'string' },
      trace: { type: 'boolean' },
      help: { type: 'boolean' },
    },
  });
  if (values.help) return undefined;
  if (values.without === 'list') return 'list';
  const isTracing = values.trace ?? false;
  return {
    count: wholeNumberOf('seeds', values.seeds, 1) ?? SEEDS_DEFAULT,
    start: wholeNumberOf('start', values.start, 0) ?? 1,
    jobs: isTracing ? 1 : (wholeNumberOf('jobs', values.jobs, 1) ?? availableParallelism()),
    mutation: mutationOf(values.without),
    isTracing,
  };
}

async function main(command: Command): Promise<number> {
  if (command === 'list') return say(MUTATIONS.map(({ name, file }) => `${name} (${file})`).join('\n'));
  const without = command.mutation ? ` --without ${command.mutation.name}` : '';
  const begun = performance.now();
  const { played, failure } = await playSeeds(command);
  const seconds = (performance.now() - begun) / 1000;
  console.log(`${played} seeds in ${seconds.toFixed(1)} s, ${Math.round(played / seconds)} a second${without}`);
  if (!failure) return say('Nothing was lost.');
  console.log(`Seed ${failure.seed}: ${failure.finding}`);
  console.log(`What went before it:\n${failure.lastLines.map((line) => `  ${line}`).join('\n')}`);
  console.log(`Replay it by: npm run sim -- --seeds 1 --start ${failure.seed}${without}`);
  return 1;
}

await runCommand(USAGE, parse, main);
