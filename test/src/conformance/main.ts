/** `npm run conformance -- DIR [DIR…]`: replays every trace under the folders, and says where answers differ. */

import { describeMismatch, replay } from './replay.js';
import { findTraces, readTrace } from './trace.js';

const folders = process.argv.slice(2);
if (folders.length === 0) {
  console.error(
    'Usage: npm run conformance -- DIR [DIR…]\nReplays every *.trace.jsonl (or .jsonl.gz) under the folders.',
  );
  process.exit(2);
}

let traces = 0;
let operations = 0;
let mismatches = 0;
for (const file of folders.flatMap(findTraces)) {
  const trace = readTrace(file);
  traces++;
  operations += trace.operations.length;
  const mismatch = replay(trace, { verify: true });
  if (!mismatch) continue;
  mismatches++;
  console.log(describeMismatch(mismatch));
}
if (traces === 0) console.error('There are no traces under these folders.');
console.log(`${traces} traces, ${operations} operations, ${mismatches} mismatches`);
process.exitCode = mismatches === 0 && traces > 0 ? 0 : 1;
