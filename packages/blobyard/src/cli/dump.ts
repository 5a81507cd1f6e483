/** `blobyard dump`: a store's metadata as text. */

import { dumpStore, run } from '@blobyard/core';
import type { Command } from 'commander';
import { whileLocked, withView } from './image.js';
import { endWith, print, printed } from './output.js';

export function addDump(program: Command): void {
  program
    .command('dump')
    .description('Print the metadata of a store page by page, damaged or not, as SPDK prints it. Nothing is written.')
    .argument('<image>', 'a file or block device with a store')
    .addHelpText('after', '\nExample:\n  blobyard dump yard.img | less')
    .action((path: string) => endWith(1, () => whileLocked(path, () => dump(path))));
}

function dump(path: string): Promise<void> {
  return withView(path, async (view) => {
    // One character is one byte: values of xattrs come out as they are.
    const steps = dumpStore(view, (text) => print(Buffer.from(text, 'latin1')));
    await run(steps, printed);
  });
}
