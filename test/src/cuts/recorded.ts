/**
 * All that was recorded of a seed, and all answers that its workload got. It is enough to make disks and to judge them,
 * at once, or later from a file.
 */

import { readFileSync, writeFileSync } from 'node:fs';
import { deserialize, serialize } from 'node:v8';
import { gunzipSync, gzipSync } from 'node:zlib';
import type { RecordedRequest } from './recording.js';
import type { Told } from './told.js';

/** A plain object, which can be written to a file. */
export interface Recorded {
  readonly seed: number;
  /** The configuration of the seed, as text for people. */
  readonly text: string;
  /** The disk before the first request. */
  readonly image: Uint8Array;
  readonly blockLengthBytes: number;
  /** The offset on the disk at which data clusters begin, in bytes. */
  readonly dataStart: number;
  readonly requests: readonly RecordedRequest[];
  /** The last moment up to which everything was recorded. */
  readonly end: number;
  readonly told: Told;
}

/** The version of the file's format. */
const VERSION = 1;

export function writeRecorded(path: string, recorded: Recorded): void {
  writeFileSync(path, gzipSync(serialize({ version: VERSION, recorded })));
}

export function readRecorded(path: string): Recorded {
  const { version, recorded } = deserialize(gunzipSync(readFileSync(path))) as { version: number; recorded: Recorded };
  if (version !== VERSION)
    throw new Error(`${path} is a recording of version ${version}; this command reads only version ${VERSION}`);
  return recorded;
}
