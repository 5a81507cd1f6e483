/**
 * The process in which one benchmark runs. Each has one of its own: V8 compiles a call for the kinds of arguments that it has
 * seen there, and what one benchmark passes would make the next one's calls slower, or not, by their order.
 */

import type { Scale } from './benchmark.js';
import { BENCHMARKS } from './catalogue.js';
import { answersOfTimedCalls, measure } from './measure.js';

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));
process.once('disconnect', () => process.exit(130)); // the parent is gone

const [name, scale] = process.argv.slice(2);
const benchmark = BENCHMARKS.find((one) => one.name === name);
if (!benchmark) throw new Error(`there is no benchmark '${name}'`);
const measurement = await measure(benchmark, scale as Scale);
if (!Number.isSafeInteger(answersOfTimedCalls())) throw new Error('a timed call did not answer a number');
process.removeAllListeners('disconnect');
process.send?.(measurement, () => process.disconnect());
