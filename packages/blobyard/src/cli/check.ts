/** `blobyard check`: checks a store, and repairs it. */

import { type CheckReport, isRepairable } from '@blobyard/core';
import { check } from '@blobyard/workers';
import type { Command } from 'commander';
import { BLOCK_BYTES, requireMedium, whileLocked, withView } from './image.js';
import { endWith, print } from './output.js';
import { reportText } from './report-text.js';
import { json } from './text.js';

const EXIT_STATUS = { clean: 0, repaired: 1, left: 2, unchecked: 2 } satisfies Record<CheckReport['outcome'], number>;

const HELP = `
Exit status:
  0  nothing is wrong
  1  something was wrong, and all of it is repaired
  2  something is still wrong, or the image could not be checked: it holds no store, or one of a newer version,
     or it cannot be read, or another process has the store open

Examples:
  blobyard check yard.img
  blobyard check --repair yard.img`;

interface CheckFlags {
  readonly repair?: boolean;
  readonly full?: boolean;
  readonly json?: boolean;
}

export function addCheck(program: Command): void {
  program
    .command('check')
    .description('Verify all metadata of a store. Nothing is written without --repair.')
    .argument('<image>', 'a file or block device with a store')
    .option('--repair', 'repair what can be repaired without losing anything')
    .option('--full', 'read every metadata page, also those that were never in use')
    .option('--json', 'print a JSON document')
    .addHelpText('after', HELP)
    .action((path: string, { repair = false, full = false, json: asJson }: CheckFlags) =>
      endWith(EXIT_STATUS.left, async () => {
        const report = await (repair ? repairStore(path, full) : checkStore(path, full));
        process.exitCode = EXIT_STATUS[report.outcome];
        print(asJson ? json(jsonOf(path, report)) : reportText(report));
      }),
    );
}

function jsonOf(image: string, report: CheckReport): unknown {
  return { image, ...report, repairable: isRepairable(report), summary: report.summary ?? null };
}

function checkStore(path: string, full: boolean): Promise<CheckReport> {
  return whileLocked(path, () => withView(path, (view) => check(view, { full })));
}

async function repairStore(path: string, full: boolean): Promise<CheckReport> {
  requireMedium(path);
  return check({ kind: 'file', path, blockLengthBytes: BLOCK_BYTES }, { repair: true, full });
}
