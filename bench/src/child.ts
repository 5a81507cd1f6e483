/**
 * The process in which one benchmark runs. Each benchmark has its own process, because V8 optimises a call for the
 * kinds of arguments that it has seen: in one process, a benchmark could slow down those after it.
 */

import type { Scale } from './benchmark.js';
import { BENCHMARKS } from './catalogue.js';
import { answersOfTimedCalls, measure } from './measure.js';

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));
process.once('disconnect', () => process.exit(130)); // the parent has ended

const [name, scale] = process.argv.slice(2);
const benchmark = BENCHMARKS.find((one) => one.name === name);
if (!benchmark) throw new Error(`there is no benchmark '${name}'; npm run bench -- --list shows all names`);
const measurement = await measure(benchmark, scale as Scale);
if (!Number.isSafeInteger(answersOfTimedCalls())) throw new Error(`a timed call of ${name} did not return a number`);
process.removeAllListeners('disconnect');
process.send?.(measurement, () => process.disconnect());
