/** `npm run conformance -- [--engine NAME] DIR [DIR…]`: replays every trace under the folders, and says where answers differ. */

import { parseArgs } from 'node:util';
import type { Engine } from './engine.js';
import { ENGINE_NAMES, ENGINES, isEngineName } from './engines.js';
import { describeMismatch, replay } from './replay.js';
import { findTraces, readTrace } from './trace.js';

const USAGE = `Usage: npm run conformance -- [--engine ${ENGINE_NAMES.join('|')}] DIR [DIR…]
Replays every *.trace.jsonl (or .jsonl.gz) under the folders on an engine: inline (everything on one thread) unless given.`;

async function main(): Promise<void> {
  let values: { engine?: string; help?: boolean };
  let traces: readonly string[];
  try {
    const options = { engine: { type: 'string' }, help: { type: 'boolean', short: 'h' } } as const;
    const parsed = parseArgs({ options, allowPositionals: true });
    values = parsed.values;
    if (values.help) return console.log(USAGE);
    if (parsed.positionals.length === 0) return refuse('No folder is given.');
    traces = parsed.positionals.flatMap(tracesIn);
  } catch (error) {
    return refuse((error as Error).message);
  }
  const { engine = 'inline' } = values;
  if (!isEngineName(engine)) return refuse(`There is no engine '${engine}'.`);
  await replayAll(ENGINES[engine](), traces);
}

/** The traces under a folder. Throws, for people, when it cannot be read. */
function tracesIn(folder: string): string[] {
  try {
    return findTraces(folder);
  } catch (cause) {
    const { code } = cause as { code?: string };
    if (code === 'ENOENT') throw new Error(`There is no folder ${folder}.`, { cause });
    if (code === 'ENOTDIR') throw new Error(`${folder} is no folder.`, { cause });
    throw new Error(`${folder} cannot be read: ${(cause as Error).message}`, { cause });
  }
}

function refuse(reason: string): void {
  console.error(`${reason}\n${USAGE}`);
  process.exitCode = 2;
}

async function replayAll(engine: Engine, files: readonly string[]): Promise<void> {
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
  process.exitCode = mismatches === 0 && files.length > 0 ? 0 : 1;
}

await main();
