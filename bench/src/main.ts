/** The command behind `npm run bench`; see README.md. */

import { parseArgs } from 'node:util';
import type { Benchmark, Scale } from './benchmark.js';
import { BENCHMARKS } from './catalogue.js';
import { measureInChild } from './fork.js';
import { curveTable, jsonDocument, type Outcome, tableHead, tableRow } from './report.js';

const USAGE = `npm run bench -- [--smoke] [--json] [--list] [NAME...]

  NAME     only the benchmarks whose names contain one of these
  --smoke  tiny sizes and few rounds: tests that the benchmarks run, measures nothing
  --json   print one JSON document on standard output
  --list   print the names, with the operation that each measures`;

const EXIT_FAILED = 1;
const EXIT_USAGE = 2;

class UsageError extends Error {}

interface Options {
  readonly scale: Scale;
  readonly json: boolean;
  readonly list: boolean;
  readonly help: boolean;
  readonly selected: readonly Benchmark[];
}

function parseOptions(args: readonly string[]): Options {
  const { values, positionals } = parse(args);
  return {
    scale: values.smoke ? 'smoke' : 'full',
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
        json: { type: 'boolean' },
        list: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    });
  } catch (error) {
    throw new UsageError(`${(error as Error).message}\n\n${USAGE}`);
  }
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

async function runAll({ selected, scale, json }: Options): Promise<void> {
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
  if (outcomes.some((outcome) => outcome.error !== undefined)) process.exitCode = EXIT_FAILED;
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
