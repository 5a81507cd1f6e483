#!/usr/bin/env node
/** The command `blobyard`: inspects, checks and repairs stores in files and block devices. */

import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { addCheck } from './check.js';
import { addDump } from './dump.js';
import { addInfo } from './info.js';
import { addLs } from './ls.js';

/** The exit status for wrong usage: EX_USAGE of sysexits.h. No command uses it for anything else. */
const EXIT_USAGE = 64;

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

const HELP = `
Only check --repair writes to an image. No command opens an image while another process has the store open.

Examples:
  blobyard info yard.img
  blobyard ls --long yard.img
  blobyard check yard.img`;

async function main(args: readonly string[]): Promise<void> {
  const program = new Command('blobyard')
    .description('Inspect, check and repair blobstores (Blobyard or SPDK) in files and block devices.')
    .version(version)
    .addHelpText('after', HELP)
    .showHelpAfterError('(for help: blobyard --help)')
    .exitOverride();
  for (const add of [addInfo, addLs, addDump, addCheck]) add(program);
  try {
    await program.parseAsync(args, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error; // commander has printed its own errors
    process.exitCode = error.exitCode === 0 ? 0 : EXIT_USAGE;
  }
}

await main(process.argv.slice(2));
