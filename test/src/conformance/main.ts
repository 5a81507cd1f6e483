/**
 * `npm run conformance -- [--engine NAME] DIR [DIR…]`: replays every trace under the folders, and reports the first
 * answer of each that differs.
 */

import { parseArgs } from 'node:util';
import { runCommand, UsageError } from '../command-line.js';
import type { Engine } from './engine.js';
import { ENGINE_NAMES, ENGINES, type EngineName, isEngineName } from './engines.js';
import { describeMismatch, replay } from './replay.js';
import { findTraces, readTrace } from './trace.js';

const USAGE = `Usage: npm run conformance -- [--engine ${ENGINE_NAMES.join('|')}] DIR [DIR…]
Replays every *.trace.jsonl (or .jsonl.gz) under the folders on an engine; default: inline (everything on one thread).`;

interface Options {
  readonly engine: EngineName;
  readonly traces: readonly string[];
}

/** Returns undefined for `--help`. */
function parse(args: string[]): Options | undefined {
  const options = { engine: { type: 'string', default: 'inline' }, help: { type: 'boolean', short: 'h' } } as const;
  const { values, positionals } = parseArgs({ args, options, allowPositionals: true });
  if (values.help) return undefined;
  if (positionals.length === 0) throw new UsageError('No folder is given.');
  const { engine } = values;
  if (!isEngineName(engine)) throw new UsageError(`There is no engine '${engine}'.`);
  return { engine, traces: positionals.flatMap(tracesIn) };
}

/** The traces under a folder. Throws `UsageError` when it cannot be read. */
function tracesIn(folder: string): string[] {
  try {
    return findTraces(folder);
  } catch (cause) {
    const { code } = cause as { code?: string };
    if (code === 'ENOENT') throw new UsageError(`There is no folder ${folder}.`, { cause });
    if (code === 'ENOTDIR') throw new UsageError(`${folder} is no folder.`, { cause });
    throw new UsageError(`${folder} cannot be read: ${(cause as Error).message}`, { cause });
  }
}

async function main({ engine: name, traces: files }: Options): Promise<number> {
  const engine: Engine = ENGINES[name]();
  let operations = 0;
  let mismatches = 0;
  for (const file of files) {
    const trace = readTrace(file);
    operations += trace.operations.length;
    const mismatch = await replay(trace, engine, { verify: true });
    if (!mismatch) continue;
    mismatches++;
    console.log(describeMismatch(mismatch));
  }
  await engine.close();
  if (files.length === 0) console.error('There are no traces under these folders.');
  console.log(`${files.length} traces, ${operations} operations, ${mismatches} mismatches`);
  return mismatches === 0 && files.length > 0 ? 0 : 1;
}

await runCommand(USAGE, parse, main);
