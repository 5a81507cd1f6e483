/**
 * The files of a conformance trace: one with the operations and one with the expected answers, a JSON object per line.
 */

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';

/** An operation of a trace. Which fields it has depends on `op`. */
export interface TraceOperation {
  op: string;
  blob?: string;
  as?: string;
  blocklen?: number;
  blockcnt?: number;
  copy?: boolean;
  cluster_sz?: number;
  num_md_pages?: number;
  clear_method?: string;
  bstype?: string;
  max_channel_ops?: number;
  esnap?: boolean;
  esnap_id?: string;
  force_recover?: boolean;
  iter?: boolean;
  num_clusters?: number;
  thin?: boolean;
  use_extent_table?: boolean;
  xattrs?: Record<string, string>;
  name?: string;
  hex?: string;
  ch?: number;
  offset?: number;
  length?: number;
  seed?: number;
  iov?: number[];
}

/** The answer of an operation: `rc`, 0 or a negative errno, and further fields that depend on the operation. */
export type Answer = { rc: number } & Record<string, unknown>;

export interface Trace {
  name: string;
  operations: TraceOperation[];
  expected: Answer[];
}

const ENDINGS = ['.trace.jsonl', '.trace.jsonl.gz'];

/** All traces in a folder and the folders below it, plain or gzipped, in the order of their paths. */
export function findTraces(folder: string): string[] {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true });
  return files
    .filter((file) => file.isFile() && ENDINGS.some((ending) => file.name.endsWith(ending)))
    .map((file) => path.join(file.parentPath ?? file.path, file.name))
    .sort();
}

/** Reads a trace and its expected answers. Throws if these are missing, or do not have the same number of lines. */
export function readTrace(file: string): Trace {
  const operations = readLines<TraceOperation>(file);
  const expectations = file.replace('.trace.jsonl', '.expect.jsonl');
  if (!existsSync(expectations)) throw new Error(`${file} needs a file with the expected answers, ${expectations}`);
  const expected = readLines<Answer>(expectations);
  if (expected.length !== operations.length) {
    throw new Error(`${file} has ${operations.length} operations and ${expected.length} expectations`);
  }
  return { name: file, operations, expected };
}

function readLines<T>(file: string): T[] {
  const bytes = readFileSync(file);
  const text = (file.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('utf8');
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as T);
}
