/** `blobyard dump`: prints the metadata of a store as text. */

import { dumpStore, run } from '@blobyard/core';
import type { Command } from 'commander';
import { whileLocked, withView } from './image.js';
import { endWith, print, printed } from './output.js';
import { printable } from './text.js';

/** After this many pages of metadata, the command waits until its output is written. */
const PAGES_AT_ONCE = 256;

export function addDump(program: Command): void {
  program
    .command('dump')
    .description(
      'Print all metadata pages of a store, also damaged ones, in the format of SPDK, with control characters escaped.',
    )
    .argument('<image>', 'a file or block device with a store')
    .addHelpText('after', '\nExample:\n  blobyard dump yard.img | less')
    .action((path: string) => endWith(1, () => whileLocked(path, () => dump(path))));
}

function dump(path: string): Promise<void> {
  return withView(path, async (view) => {
    const write = (text: string) => print(Buffer.from(text, 'latin1'));
    const printText = (text: string) => escaped(Buffer.from(text, 'latin1'));
    const printXattr = (_: string, value: Uint8Array) => escaped(Buffer.from(value));
    let pages = 0;
    const pause = () => (++pages % PAGES_AT_ONCE === 0 ? printed() : undefined);
    await run(dumpStore(view, write, printXattr, printText), pause);
  });
}

/**
 * Escapes control characters in text from the disk; the dump shows the values also in hex. Returns Latin-1 text, one
 * character for each byte of UTF-8.
 */
function escaped(bytes: Buffer): string {
  return Buffer.from(printable(bytes.toString())).toString('latin1');
}
