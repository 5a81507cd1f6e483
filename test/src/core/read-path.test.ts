/**
 * Transfers of allocated clusters, and reads of all others, allocate nothing on the heap, so that a busy channel never
 * waits for the garbage collector.
 */

import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const CHILD = fileURLToPath(new URL('../../dist/core/read-path-child.js', import.meta.url));
/** The size of each half of the young generation, in MB: enough for every scenario, even with a kilobyte a transfer. */
const SEMI_SPACE_MB = 512;
/**
 * One object per transfer would take at least 16 bytes. The compiler and the measurement itself take a little in all.
 */
const BYTES_PER_TRANSFER_MAX = 4;

test('200,000 transfers of 4 KiB allocate less than an object each', { timeout: 120_000 }, async () => {
  const flags = [`--min-semi-space-size=${SEMI_SPACE_MB}`, `--max-semi-space-size=${SEMI_SPACE_MB}`];
  const { stdout } = await promisify(execFile)(process.execPath, [...flags, CHILD]);
  const bytesPerTransfer = Object.entries(JSON.parse(stdout) as Record<string, number>);
  expect(bytesPerTransfer).toHaveLength(9);
  for (const [scenario, bytes] of bytesPerTransfer) {
    expect(bytes, `bytes of heap for a transfer: ${scenario}`).toBeLessThan(BYTES_PER_TRANSFER_MAX);
    expect(bytes, `a collection made the measurement useless: ${scenario}`).toBeGreaterThan(-BYTES_PER_TRANSFER_MAX);
  }
});
