/** What was recorded and told of a seed, as a whole: enough to make its disks and to judge them, at once or later, from a file. */

import { readFileSync, writeFileSync } from 'node:fs';
import { deserialize, serialize } from 'node:v8';
import { gunzipSync, gzipSync } from 'node:zlib';
import type { RecordedRequest } from './recording.js';
import type { Told } from './told.js';

/** Plain. */
export interface Recorded {
  readonly seed: number;
  /** What the seed has decided, for people. */
  readonly text: string;
  /** The disk before the first request. */
  readonly image: Uint8Array;
  readonly blockLengthBytes: number;
  /** Where data clusters begin, in bytes. */
  readonly dataStart: number;
  readonly requests: readonly RecordedRequest[];
  /** The last moment until which everything was recorded. */
  readonly end: number;
  readonly told: Told;
}

/** Of the file's format. */
const VERSION = 1;

export function writeRecorded(path: string, recorded: Recorded): void {
  writeFileSync(path, gzipSync(serialize({ version: VERSION, recorded })));
}

export function readRecorded(path: string): Recorded {
  const { version, recorded } = deserialize(gunzipSync(readFileSync(path))) as { version: number; recorded: Recorded };
  if (version !== VERSION) throw new Error(`${path} is a recording of version ${version}, and this reads ${VERSION}`);
  return recorded;
}
