/**
 * Preloaded by `--import` into every thread of a process: appends a line for each script that a thread loads, its
 * number (0 for the main thread) and the script's URL, to the file that BLOBYARD_LOADED_SCRIPTS names.
 */

import { appendFileSync } from 'node:fs';
import { type Debugger, Session } from 'node:inspector';
import { threadId } from 'node:worker_threads';

const log = process.env.BLOBYARD_LOADED_SCRIPTS;
if (log === undefined) throw new Error('the environment variable BLOBYARD_LOADED_SCRIPTS must name a file');

const session = new Session();
session.connect();
session.on('Debugger.scriptParsed', ({ params }: { params: Debugger.ScriptParsedEventDataType }) => {
  appendFileSync(log, `${threadId} ${params.url}\n`);
});
session.post('Debugger.enable');
