/** Standard output and standard error of the commands. A reader that goes away, as `head` does, is no failure. */

import { once } from 'node:events';
import { BlobstoreError } from '@blobyard/core';
import { printable } from './text.js';

/** Nobody reads the output any more: what is left of a command need not be done. */
class OutputClosed extends Error {}

let isClosed = false;
let failure: Error | undefined;

process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE' && error.code !== 'ERR_STREAM_DESTROYED') failure ??= error;
  isClosed = true;
});
process.stderr.on('error', () => undefined); // there is nowhere to say it

/** Prints to standard output. */
export function print(text: string | Uint8Array): void {
  if (!isClosed) process.stdout.write(text);
}

/** Waits until what was printed has gone its way. Throws when it cannot go anywhere; `endWith` knows what that means. */
export async function printed(): Promise<void> {
  while (!isClosed && process.stdout.writableLength > 0) {
    if (process.stdout.writableNeedDrain) await once(process.stdout, 'drain').catch(() => undefined);
    else await new Promise((resolve) => process.stdout.write('', resolve));
  }
  await new Promise((resolve) => setImmediate(resolve)); // a write that failed says so a turn later
  if (failure !== undefined)
    throw new BlobstoreError('EIO', `writing to standard output failed: ${failure.message}`, { cause: failure });
  if (isClosed) throw new OutputClosed();
}

/** Says something beside the output. */
export function note(text: string): void {
  process.stderr.write(`blobyard: note: ${printable(text)}\n`);
}

/** Does a command's work; when it fails, says why in one line, and ends the process with `status`. */
export async function endWith(status: number, work: () => Promise<void>): Promise<void> {
  try {
    await work();
    await printed();
  } catch (error) {
    if (error instanceof OutputClosed) return;
    process.stderr.write(`blobyard: ${printable(describe(error))}\n`);
    process.exitCode = status;
  }
}

function describe(error: unknown): string {
  if (error instanceof BlobstoreError) return `${error.code}: ${error.message}`;
  return error instanceof Error ? error.message : String(error);
}
