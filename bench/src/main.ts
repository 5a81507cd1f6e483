/** The command behind `npm run bench`; see README.md. */

import { parseArgs } from 'node:util';
import type { Benchmark, Scale } from './benchmark.js';
import { keepBusy } from './busy.js';
import { BENCHMARKS } from './catalogue.js';
import { measureInChild } from './fork.js';
import { commitRatios, committedRatios, judge, type Load } from './ratios.js';
import {
  type Compared,
  comparisonHead,
  comparisonRow,
  comparisonSummary,
  curveTable,
  jsonDocument,
  type Outcome,
  tableHead,
  tableRow,
} from './report.js';

const USAGE = `npm run bench -- [--smoke | --check | --commit] [--busy] [--json] [--list] [NAME...]

  NAME      only the benchmarks whose names contain one of these
  --smoke   tiny sizes and few rounds: tests that the benchmarks run, measures nothing
  --check   few rounds: compares the ratios with the committed ones in bench/ratios.json
  --commit  few rounds: writes the ratios into that file
  --busy    beside other processes that leave no processor idle
  --json    print one JSON document on standard output
  --list    print the names, with the operation that each measures`;

const EXIT_FAILED = 1;
const EXIT_USAGE = 2;

class UsageError extends Error {}

interface Options {
  readonly scale: Scale;
  readonly load: Load;
  /** With `--commit`: the ratios become the committed ones. */
  readonly commits: boolean;
  readonly json: boolean;
  readonly list: boolean;
  readonly help: boolean;
  readonly selected: readonly Benchmark[];
}

function parseOptions(args: readonly string[]): Options {
  const { values, positionals } = parse(args);
  return {
    scale: scaleOf(values),
    load: values.busy ? 'busy' : 'idle',
    commits: values.commit ?? false,
    json: values.json ?? false,
    list: values.list ?? false,
    help: values.help ?? false,
    selected: select(positionals),
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        smoke: { type: 'boolean' },
        check: { type: 'boolean' },
        commit: { type: 'boolean' },
        busy: { type: 'boolean' },
        json: { type: 'boolean' },
        list: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    });
  } catch (error) {
    throw new UsageError(`${(error as Error).message}\n\n${USAGE}`);
  }
}

function scaleOf({ smoke, check, commit }: { smoke?: boolean; check?: boolean; commit?: boolean }): Scale {
  if ([smoke, check, commit].filter(Boolean).length > 1) {
    throw new UsageError(`--smoke, --check and --commit exclude each other\n\n${USAGE}`);
  }
  if (smoke) return 'smoke';
  return check || commit ? 'check' : 'full';
}

/** The benchmarks whose names contain one of the given names; all benchmarks if none is given. */
function select(names: readonly string[]): readonly Benchmark[] {
  const unknown = names.filter((name) => !BENCHMARKS.some((benchmark) => benchmark.name.includes(name)));
  if (unknown.length > 0) {
    throw new UsageError(`No benchmark's name contains '${unknown.join("' or '")}'. There are:\n${list(BENCHMARKS)}`);
  }
  if (names.length === 0) return BENCHMARKS;
  return BENCHMARKS.filter((benchmark) => names.some((name) => benchmark.name.includes(name)));
}

function list(benchmarks: readonly Benchmark[]): string {
  return benchmarks.map(({ name, operation }) => `  ${name.padEnd(36)}${operation}`).join('\n');
}

async function runOne(benchmark: Benchmark, scale: Scale): Promise<Outcome> {
  try {
    return { benchmark, measurement: await measureInChild(benchmark.name, scale) };
  } catch (error) {
    return { benchmark, error: (error as Error).message };
  }
}

async function runAll(options: Options): Promise<void> {
  const endBusy = options.load === 'busy' ? keepBusy() : undefined;
  try {
    const outcomes = await (options.scale === 'check' ? compareAll(options) : measureAll(options));
    if (outcomes.some((outcome) => outcome.error !== undefined)) process.exitCode = EXIT_FAILED;
  } finally {
    endBusy?.();
  }
}

/** Runs the selected benchmarks, and compares their ratios with the committed ones or commits them. */
async function compareAll({ selected, load, commits, json }: Options): Promise<Outcome[]> {
  const committed = committedRatios(load);
  const outcomes: Outcome[] = [];
  const found: Record<string, number> = {};
  const compared: Compared[] = [];
  if (!json) console.log(comparisonHead(load));
  for (const benchmark of selected) {
    const outcome = await runOne(benchmark, 'check');
    outcomes.push(outcome);
    const { name } = benchmark;
    const { ratio } = outcome.measurement ?? {};
    if (ratio) {
      found[name] = ratio.median;
      compared.push({ name, ratio, committed: committed[name], verdict: judge(ratio, committed[name]) });
    }
    if (!json) console.log(ratio ? comparisonRow(compared[compared.length - 1]) : `${name}  failed: ${outcome.error}`);
  }
  if (json) console.log(JSON.stringify({ load, compared }, undefined, 2));
  else console.log(comparisonSummary(compared));
  if (commits) commitRatios(load, found);
  else if (compared.some(({ verdict }) => verdict === 'slower')) process.exitCode = EXIT_FAILED;
  return outcomes;
}

async function measureAll({ selected, scale, json }: Options): Promise<Outcome[]> {
  const startedAt = new Date();
  const outcomes: Outcome[] = [];
  if (!json) console.log(tableHead(scale));
  for (const benchmark of selected) {
    const outcome = await runOne(benchmark, scale);
    outcomes.push(outcome);
    if (!json) console.log(tableRow(outcome, scale));
    else if (outcome.error !== undefined) console.error(`${benchmark.name}: ${outcome.error}`);
  }
  const curves = curveTable(outcomes);
  if (!json && curves !== '') console.log(curves);
  if (json) console.log(jsonDocument(outcomes, scale, startedAt));
  return outcomes;
}

async function main(args: readonly string[]): Promise<void> {
  try {
    const options = parseOptions(args);
    if (options.help) console.log(USAGE);
    else if (options.list) console.log(list(options.selected));
    else await runAll(options);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    console.error(error.message);
    process.exitCode = EXIT_USAGE;
  }
}

await main(process.argv.slice(2));
