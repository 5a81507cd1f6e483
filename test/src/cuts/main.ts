/** `npm run cuts -- [--seeds N] [--start S] …`: see `USAGE`. */

import { spawnSync } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { mutationOf, runCommand, say, wholeNumberOf } from '../command-line.js';
import { MUTATIONS } from '../sim/mutations.js';
import { addAll } from '../stress/round.js';
import { FAULT_VARIABLE } from './fault-preload.js';
import { judge, type WrongDisk } from './judge.js';
import { DISKS_DEFAULT, type Failure, playSeed } from './play-seed.js';
import { readRecorded, writeRecorded } from './recorded.js';

const SEEDS_DEFAULT = 24;

const USAGE = `Usage: npm run cuts -- [OPTION…]
Threads work on a store whose device records when each write and flush began and ended. From the recording, disks are made
as a power cut or a kill of the process would have left them at random moments. Each disk is opened, compared with the
answers that the workload got, and checked. The seed decides the operations of the threads, the moments of the cuts, and
which writes are lost. It does not decide how the threads interleave, so that a seed plays differently each time. A
recording can be judged again.
  --seeds N           the number of seeds to play; default ${SEEDS_DEFAULT}
  --start S           the first seed; default 1. Twelve seeds in a row have each mode (I/O workers, attached threads,
                      both) at each level of durability, on devices that answer at once and later
  --disks N           the number of disks of each seed; default ${DISKS_DEFAULT}
  --without NAME      plays with a fault in the engine: a missing write barrier or step, or a wrong order; \`list\`
                      prints all names
  --replay FILE       judges a recording that a failing seed has left
  --folder PATH       the folder for the recording and the disk of a failing seed; default: a new temporary folder
  --help              prints this`;

interface Options {
  readonly count: number;
  readonly start: number;
  readonly disks: number;
  readonly without: string | undefined;
  readonly replay: string | undefined;
  readonly folder: string | undefined;
}

type Command = Options | 'list';

function parse(args: string[]): Command | undefined {
  const { values } = parseArgs({
    args,
    options: {
      seeds: { type: 'string' },
      start: { type: 'string' },
      disks: { type: 'string' },
      without: { type: 'string' },
      replay: { type: 'string' },
      folder: { type: 'string' },
      help: { type: 'boolean' },
    },
  });
  if (values.help) return undefined;
  const { without, replay, folder } = values;
  if (without === 'list') return 'list';
  return {
    count: wholeNumberOf('seeds', values.seeds, 1) ?? SEEDS_DEFAULT,
    start: wholeNumberOf('start', values.start, 0) ?? 1,
    disks: wholeNumberOf('disks', values.disks, 1) ?? DISKS_DEFAULT,
    without: mutationOf(without)?.name,
    replay,
    folder,
  };
}

async function main(command: Command): Promise<number> {
  if (command === 'list') return say(MUTATIONS.map(({ name, file }) => `${name} (${file})`).join('\n'));
  if (command.without !== undefined && process.env[FAULT_VARIABLE] !== command.without) return again(command.without);
  return command.replay === undefined ? await play(command) : await replay(command.replay, command);
}

/** Runs the same command in a process whose threads all load the engine with a fault. Returns its exit status. */
function again(fault: string): number {
  const preload = new URL('./fault-preload.js', import.meta.url).href;
  const args = ['--import', preload, fileURLToPath(import.meta.url), ...process.argv.slice(2)];
  const env = { ...process.env, [FAULT_VARIABLE]: fault };
  return spawnSync(process.execPath, args, { env, stdio: 'inherit' }).status ?? 1;
}

async function play({ start, count, disks, without, folder }: Options): Promise<number> {
  const counts: Record<string, number> = {};
  const begun = performance.now();
  for (let seed = start; seed < start + count; seed++) {
    const { failure, text, counts: done } = await playSeed(seed, disks);
    addAll(counts, { seeds: 1, ...done });
    if (failure === undefined) {
      if ((seed - start + 1) % 25 === 0) console.error(`${seed - start + 1} seeds`);
      continue;
    }
    console.log(summaryOf(counts, begun));
    console.log(`Seed ${seed} (${text})${without ? ` without ${without}` : ''}:`);
    tell(failure, disks, without, folder);
    return 1;
  }
  console.log(summaryOf(counts, begun));
  return say('Nothing was lost.');
}

async function replay(file: string, { disks, without }: Options): Promise<number> {
  const recorded = readRecorded(file);
  const { judged, wrong } = await judge(recorded, disks);
  console.log(`${judged} disks of seed ${recorded.seed} (${recorded.text})`);
  if (wrong === undefined) return say(`Nothing was lost${without ? ` without ${without}` : ''}.`);
  tellDisk(wrong);
  return 1;
}

function summaryOf(counts: Readonly<Record<string, number>>, begun: number): string {
  const told = Object.entries(counts).map(([what, count]) => `${count} ${what}`);
  return `${told.join(', ')} in ${((performance.now() - begun) / 1000).toFixed(1)} s`;
}

function tell(
  { recorded, wrong, findings }: Failure,
  disks: number,
  without: string | undefined,
  given?: string,
): void {
  if (wrong) tellDisk(wrong);
  else for (const finding of findings) console.log(`  the live store: ${finding}`);
  if (recorded === undefined) return;
  const folder = given ?? mkdtempSync(path.join(tmpdir(), 'blobyard-cuts-'));
  const file = path.join(folder, `seed-${recorded.seed}.recording`);
  writeRecorded(file, recorded);
  if (wrong) {
    writeFileSync(`${file}.disk`, wrong.disk);
    console.log(`The disk: ${file}.disk`);
  }
  const options = `${disks === DISKS_DEFAULT ? '' : ` --disks ${disks}`}${without ? ` --without ${without}` : ''}`;
  console.log(`Judge the recording again by: npm run cuts -- --replay ${file}${options}`);
}

function tellDisk({ cut, findings }: WrongDisk): void {
  console.log(`The disk after ${cut.kind === 'power' ? 'a power cut' : 'a kill'} at moment ${cut.moment}:`);
  for (const finding of findings) console.log(`  ${finding}`);
}

await runCommand(USAGE, parse, main);
