/** A folder for each test file, in the system's folder for temporary files. It is removed after the last test. */

import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll } from 'vitest';

const folder = mkdtempSync(path.join(os.tmpdir(), 'blobyard-test-'));
let count = 0;

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A path in the folder at which no file exists yet. */
export function newPath(): string {
  count++;
  return path.join(folder, `device-${count}.img`);
}
