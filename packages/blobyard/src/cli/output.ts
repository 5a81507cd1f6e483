/** Standard output and standard error of the commands. A closed pipe, as after `head`, is not an error. */

import { once } from 'node:events';
import { BlobstoreError } from '@blobyard/core';
import { printable } from './text.js';

/** The reader of the pipe has closed it, so the command can stop. */
class OutputClosed extends Error {}

let isClosed = false;
let failure: Error | undefined;

process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE' && error.code !== 'ERR_STREAM_DESTROYED') failure ??= error;
  isClosed = true;
});
process.stderr.on('error', () => undefined); // there is no other place to report the error

/** Prints to standard output. */
export function print(text: string | Uint8Array): void {
  if (!isClosed) process.stdout.write(text);
}

/**
 * Waits until all output is written. Throws EIO if writing fails, `OutputClosed` if the pipe is closed (`endWith`
 * catches it).
 */
export async function printed(): Promise<void> {
  while (!isClosed && process.stdout.writableLength > 0) {
    if (process.stdout.writableNeedDrain) await once(process.stdout, 'drain').catch(() => undefined);
    else await new Promise((resolve) => process.stdout.write('', resolve));
  }
  await new Promise((resolve) => setImmediate(resolve)); // a failed write emits its error one turn later
  if (failure !== undefined)
    throw new BlobstoreError('EIO', `writing to standard output failed: ${failure.message}`, { cause: failure });
  if (isClosed) throw new OutputClosed();
}

/** Prints a note to standard error. */
export function note(text: string): void {
  process.stderr.write(`blobyard: note: ${printable(text)}\n`);
}

/** Does the work of a command. If it fails, prints the error in one line, and sets the exit status. */
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
