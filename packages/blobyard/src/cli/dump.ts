/** `blobyard dump`: a store's metadata as text. */

import { dumpStore, run } from '@blobyard/core';
import type { Command } from 'commander';
import { whileLocked, withView } from './image.js';
import { endWith, print, printed } from './output.js';
import { printable } from './text.js';

/** Pages of metadata after which it waits until what was printed has gone its way. */
const PAGES_AT_ONCE = 256;

export function addDump(program: Command): void {
  program
    .command('dump')
    .description(
      'Print the metadata of a store page by page, damaged or not, as SPDK prints it, control characters escaped.',
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

/** Text from the disk, one character a byte, with nothing in it that a terminal would obey; values are also there in hex. */
function escaped(bytes: Buffer): string {
  return Buffer.from(printable(bytes.toString())).toString('latin1');
}
