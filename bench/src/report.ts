/** What is printed: a table for people, a document for programs. */

import { availableParallelism, cpus, totalmem } from 'node:os';
import type { Benchmark, Scale, Target } from './benchmark.js';
import type { Measurement } from './measure.js';

/** A benchmark with what came of it. */
export interface Outcome {
  readonly benchmark: Benchmark;
  readonly measurement?: Measurement;
  readonly error?: string;
}

/** Whether a target was reached; undefined when there is none. */
export function isMet(target: Target | undefined, measurement: Measurement): boolean | undefined {
  if (!target) return undefined;
  if ('millisecondsMax' in target) return measurement.subjectNanoseconds / 1e6 <= target.millisecondsMax;
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
const WIDTHS = [24, 13, 12, 30, 19, 10, 6, 9, 8];

export function tableHead(scale: Scale): string {
  const machine = `Node ${process.version}, ${cpuName()}, ${availableParallelism()} cores`;
  const warning = scale === 'smoke' ? '\nSmoke: tiny sizes and few rounds; these numbers mean nothing.' : '';
  return `${machine}${warning}\n${row(COLUMNS)}\n${row(WIDTHS.map((width) => '-'.repeat(width)))}`;
}

/** The line of one benchmark. */
export function tableRow({ benchmark, measurement, error }: Outcome, scale: Scale): string {
  if (!measurement) return row([benchmark.name, `failed: ${error ?? 'it is not known why'}`]);
  const { target } = benchmark;
  const met = scale === 'smoke' ? undefined : isMet(target, measurement);
  return row([
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
  };
  return JSON.stringify(document, undefined, 2);
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
  return cells
    .map((cell, column) => cell.padEnd(WIDTHS[column]))
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
  return 'ratioMin' in target ? `>= ${target.ratioMin}` : `<= ${target.millisecondsMax} ms`;
}

function bytes(count: number | undefined): string {
  if (count === undefined) return '?';
  return count < 0.5 ? '0' : count < 1e4 ? `${Math.round(count)} B` : `${significant(count / 1e6)} MB`;
}

function significant(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}
