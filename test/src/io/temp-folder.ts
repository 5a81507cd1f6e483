/** A folder of a test's own in the system's folder for temporary files; it goes when the test file is done. */

import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll } from 'vitest';

const folder = mkdtempSync(path.join(os.tmpdir(), 'blobyard-test-'));
let count = 0;

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A path in the folder at which there is nothing yet. */
export function newPath(): string {
  count++;
  return path.join(folder, `device-${count}.img`);
}
