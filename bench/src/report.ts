/** Formats the results: a table for people, a JSON document for programs. */

import { availableParallelism, cpus, totalmem } from 'node:os';
import type { Benchmark, Scale, Target } from './benchmark.js';
import type { Measurement } from './measure.js';
import { FASTER_ABOVE, type Load, SLOWER_BELOW, type Verdict } from './ratios.js';
import type { Quartiles } from './statistics.js';

/** A benchmark with its result or its error. */
export interface Outcome {
  readonly benchmark: Benchmark;
  readonly measurement?: Measurement;
  readonly error?: string;
}

/** Whether a target was reached. Undefined without a target, or without the baseline that the target refers to. */
export function isMet(target: Target | undefined, measurement: Measurement): boolean | undefined {
  if (!target) return undefined;
  const { subjectNanoseconds, baselineNanoseconds } = measurement;
  if ('millisecondsMax' in target) return subjectNanoseconds / 1e6 <= target.millisecondsMax;
  if ('perSecondMin' in target) return 1e9 / subjectNanoseconds >= target.perSecondMin;
  if ('millisecondsMoreMax' in target) {
    if (baselineNanoseconds === undefined) return undefined;
    return (subjectNanoseconds - baselineNanoseconds) / 1e6 <= target.millisecondsMoreMax;
  }
  return measurement.ratio !== undefined && measurement.ratio.median >= target.ratioMin;
}

const COLUMNS = [
  'benchmark',
  'per operation',
  'speed',
  'baseline',
  'ratio (quartiles)',
  'target',
  '',
  'heap',
  'checksum',
];
const WIDTHS = [34, 13, 12, 30, 19, 11, 6, 9, 8];

export function tableHead(scale: Scale): string {
  const machine = `Node ${process.version}, ${cpuName()}, ${availableParallelism()} cores`;
  const warning = scale === 'smoke' ? '\nSmoke run: tiny sizes and few rounds; the figures are not measurements.' : '';
  return `${machine}${warning}\n${row(COLUMNS)}\n${row(WIDTHS.map((width) => '-'.repeat(width)))}`;
}

/** The table row of one benchmark. */
export function tableRow({ benchmark, measurement, error }: Outcome, scale: Scale): string {
  if (!measurement) return row([benchmark.name, `failed: ${error ?? 'unknown error'}`]);
  const { target } = benchmark;
  const met = scale === 'smoke' ? undefined : isMet(target, measurement);
  const cells = row([
    benchmark.name,
    duration(measurement.subjectNanoseconds),
    speed(benchmark, measurement.subjectNanoseconds),
    baselineText(benchmark, measurement),
    ratioText(measurement),
    targetText(target),
    met === undefined ? '' : met ? 'met' : 'MISSED',
    bytes(measurement.subjectHeapBytes),
    measurement.checksum,
  ]);
  const figures = Object.entries(measurement.figures ?? {}).map(([words, value]) => `${words}: ${significant(value)}`);
  return figures.length === 0 ? cells : `${cells}\n  ${figures.join(', ')}`;
}

/** A ratio beside the committed one. */
export interface Compared {
  readonly name: string;
  readonly ratio: Quartiles;
  readonly committed: number | undefined;
  readonly verdict: Verdict;
}

const COMPARISON_WIDTHS = [34, 22, 11, 9];

export function comparisonHead(load: Load): string {
  const machine = `Node ${process.version}, ${cpuName()}, ${availableParallelism()} cores, ${load}`;
  const columns = ['benchmark', 'ratio (quartiles)', 'committed', 'change'];
  return `${machine}\n${cellsOf(columns, COMPARISON_WIDTHS)}`;
}

export function comparisonRow({ name, ratio, committed, verdict }: Compared): string {
  const quartiles = [ratio.median, ratio.low, ratio.high].map(significant);
  const change = committed === undefined ? '' : `x ${(ratio.median / committed).toFixed(2)}`;
  const note = verdict === 'same' ? '' : verdict.toUpperCase();
  const ratios = `${quartiles[0]} (${quartiles[1]}-${quartiles[2]})`;
  return cellsOf(
    [name, ratios, committed === undefined ? '' : significant(committed), change, note],
    [...COMPARISON_WIDTHS, 6],
  );
}

export function comparisonSummary(compared: readonly Compared[]): string {
  const named = (verdict: Verdict) => compared.filter((each) => each.verdict === verdict).map(({ name }) => name);
  const slower = named('slower');
  const lines = [
    slower.length === 0
      ? `none of ${compared.length} is slower than ${SLOWER_BELOW} times its committed ratio`
      : `SLOWER than ${SLOWER_BELOW} times the committed ratio: ${slower.join(', ')}`,
  ];
  if (named('faster').length > 0)
    lines.push(`faster than ${FASTER_ABOVE} times the committed ratio: ${named('faster').join(', ')}`);
  if (named('new').length > 0) lines.push(`without a committed ratio: ${named('new').join(', ')}`);
  return lines.join('\n');
}

/** The whole run as one JSON document. */
export function jsonDocument(outcomes: readonly Outcome[], scale: Scale, startedAt: Date): string {
  const document = {
    node: process.version,
    v8: process.versions.v8,
    platform: process.platform,
    arch: process.arch,
    cpu: { name: cpuName(), cores: availableParallelism() },
    memoryBytes: totalmem(),
    scale,
    startedAt: startedAt.toISOString(),
    endedAt: new Date().toISOString(),
    benchmarks: outcomes.map((outcome) => jsonOf(outcome, scale)),
    curves: Object.fromEntries(curvesOf(outcomes)),
  };
  return JSON.stringify(document, undefined, 2);
}

/** The table of speed by threads: a line for each curve with more than one point. */
export function curveTable(outcomes: readonly Outcome[]): string {
  const lines = [...curvesOf(outcomes)]
    .filter(([, points]) => points.length > 1)
    .map(([curve, points]) => {
      const cells = points.map(({ threads, perSecond, ratio }) => {
        return `${threads}: ${significant(perSecond / 1e3)} k/s${ratio === undefined ? '' : ` (x ${ratio.toFixed(2)})`}`;
      });
      return `  ${curve.padEnd(WIDTHS[0])}${cells.join('   ')}`;
    });
  return lines.length === 0
    ? ''
    : `operations per second by number of threads (ratio to one thread in the same run)\n${lines.join('\n')}`;
}

/** The points of all curves, by their names. */
function curvesOf(outcomes: readonly Outcome[]): Map<string, { threads: number; perSecond: number; ratio?: number }[]> {
  const curves = new Map<string, { threads: number; perSecond: number; ratio?: number }[]>();
  for (const { benchmark, measurement } of outcomes) {
    if (!benchmark.curvePoint || !measurement) continue;
    const { curve, threads } = benchmark.curvePoint;
    const points = curves.get(curve) ?? [];
    points.push({ threads, perSecond: 1e9 / measurement.subjectNanoseconds, ratio: measurement.ratio?.median });
    curves.set(curve, points);
  }
  return curves;
}

function jsonOf({ benchmark, measurement, error }: Outcome, scale: Scale) {
  const { name, operation, baseline, target, bytesPerOperation } = benchmark;
  const described = {
    name,
    operation,
    bytesPerOperation,
    baseline: typeof baseline === 'object' ? baseline.label : baseline,
    baselineIsQuoted: typeof baseline === 'object',
    target,
  };
  if (!measurement) return { ...described, error };
  const met = scale === 'smoke' ? undefined : isMet(target, measurement);
  return { ...described, met, operationsPerSecond: 1e9 / measurement.subjectNanoseconds, ...measurement };
}

function cpuName(): string {
  return cpus().at(0)?.model.trim() || 'unknown processor';
}

function row(cells: readonly string[]): string {
  return cellsOf(cells, WIDTHS);
}

function cellsOf(cells: readonly string[], widths: readonly number[]): string {
  return cells
    .map((cell, column) => cell.padEnd(widths[column]))
    .join('  ')
    .trimEnd();
}

function duration(nanoseconds: number): string {
  if (nanoseconds < 1e3) return `${significant(nanoseconds)} ns`;
  if (nanoseconds < 1e6) return `${significant(nanoseconds / 1e3)} us`;
  return `${significant(nanoseconds / 1e6)} ms`;
}

function speed({ bytesPerOperation }: Benchmark, nanoseconds: number): string {
  if (bytesPerOperation !== undefined) return `${significant(bytesPerOperation / nanoseconds)} GB/s`;
  const perSecond = 1e9 / nanoseconds;
  if (perSecond >= 1e6) return `${significant(perSecond / 1e6)} M/s`;
  if (perSecond >= 1e3) return `${significant(perSecond / 1e3)} k/s`;
  return `${significant(perSecond)} /s`;
}

function baselineText({ baseline }: Benchmark, { baselineNanoseconds }: Measurement): string {
  if (baseline === undefined || baselineNanoseconds === undefined) return '';
  return `${duration(baselineNanoseconds)} ${typeof baseline === 'object' ? `(${baseline.label})` : baseline}`;
}

function ratioText({ ratio }: Measurement): string {
  if (!ratio) return '';
  return `${ratio.median.toFixed(2)} (${ratio.low.toFixed(2)}-${ratio.high.toFixed(2)})`;
}

function targetText(target: Target | undefined): string {
  if (!target) return '';
  if ('ratioMin' in target) return `>= ${target.ratioMin}`;
  if ('perSecondMin' in target) return `>= ${target.perSecondMin / 1e3} k/s`;
  return 'millisecondsMax' in target ? `<= ${target.millisecondsMax} ms` : `<= +${target.millisecondsMoreMax} ms`;
}

function bytes(count: number | undefined): string {
  if (count === undefined) return '?';
  return count < 0.5 ? '0' : count < 1e4 ? `${Math.round(count)} B` : `${significant(count / 1e6)} MB`;
}

function significant(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}
