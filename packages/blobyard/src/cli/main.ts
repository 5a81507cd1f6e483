#!/usr/bin/env node
/** The command `blobyard`: a look at stores in files and block devices, and their repair. */

import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { addCheck } from './check.js';
import { addDump } from './dump.js';
import { addInfo } from './info.js';
import { addLs } from './ls.js';

/** Wrong usage, as sysexits.h has it: apart from what the commands themselves end with. */
const EXIT_USAGE = 64;

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

const HELP = `
Images are only read, except by check --repair, and not while another process has the store open.

Examples:
  blobyard info yard.img
  blobyard ls --long yard.img
  blobyard check yard.img`;

async function main(args: readonly string[]): Promise<void> {
  const program = new Command('blobyard')
    .description('Look at, check and repair blobstores (Blobyard or SPDK) in files and block devices.')
    .version(version)
    .addHelpText('after', HELP)
    .showHelpAfterError('(blobyard --help says how it is used)')
    .exitOverride();
  for (const add of [addInfo, addLs, addDump, addCheck]) add(program);
  try {
    await program.parseAsync(args, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error; // what is wrong has been said
    process.exitCode = error.exitCode === 0 ? 0 : EXIT_USAGE;
  }
}

await main(process.argv.slice(2));
