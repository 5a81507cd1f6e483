/** `npm run conformance -- [--engine NAME] DIR [DIR…]`: replays every trace under the folders, and says where answers differ. */

import { parseArgs } from 'node:util';
import type { Engine } from './engine.js';
import { ENGINE_NAMES, ENGINES, isEngineName } from './engines.js';
import { describeMismatch, replay } from './replay.js';
import { findTraces, readTrace } from './trace.js';

const USAGE = `Usage: npm run conformance -- [--engine ${ENGINE_NAMES.join('|')}] DIR [DIR…]
Replays every *.trace.jsonl (or .jsonl.gz) under the folders on an engine: inline (everything on one thread) unless given.`;

function main(): Promise<void> | void {
  try {
    const { values, positionals } = parseArgs({ options: { engine: { type: 'string' } }, allowPositionals: true });
    const { engine = 'inline' } = values;
    if (!isEngineName(engine)) return refuse(`There is no engine '${engine}'.`);
    if (positionals.length === 0) return refuse('No folder is given.');
    return replayAll(ENGINES[engine](), positionals);
  } catch (error) {
    return refuse((error as Error).message);
  }
}

function refuse(reason: string): void {
  console.error(`${reason}\n${USAGE}`);
  process.exitCode = 2;
}

async function replayAll(engine: Engine, folders: readonly string[]): Promise<void> {
  let traces = 0;
  let operations = 0;
  let mismatches = 0;
  for (const file of folders.flatMap(findTraces)) {
    const trace = readTrace(file);
    traces++;
    operations += trace.operations.length;
    const mismatch = await replay(trace, engine, { verify: true });
    if (!mismatch) continue;
    mismatches++;
    console.log(describeMismatch(mismatch));
  }
  await engine.close();
  if (traces === 0) console.error('There are no traces under these folders.');
  console.log(`${traces} traces, ${operations} operations, ${mismatches} mismatches`);
  process.exitCode = mismatches === 0 && traces > 0 ? 0 : 1;
}

await main();
