/** Checks the files of worker threads that the user names. */

import path from 'node:path';
import { pathToFileURL } from 'node:url';
import type { WorkerFiles } from '../api/store.js';
import { checkOptions, invalid } from './checks.js';

/** The entries of the threads of a store. */
export interface WorkerEntries {
  readonly metadata: URL;
  readonly io: URL;
}

/** Returns the URLs of the files that the user names. Throws EINVAL if they are invalid. */
export function checkWorkerFiles(given: WorkerFiles | undefined): WorkerEntries | undefined {
  if (given === undefined) return undefined;
  const { metadata, io } = checkOptions('workers', given, ['metadata', 'io']);
  return { metadata: urlOf('workers.metadata', metadata), io: urlOf('workers.io', io) };
}

function urlOf(what: string, file: unknown): URL {
  if (file instanceof URL && file.protocol === 'file:') return file;
  if (typeof file === 'string' && path.isAbsolute(file)) return pathToFileURL(file);
  if (typeof file === 'string' && file.startsWith('file:') && URL.canParse(file)) return new URL(file);
  throw invalid(what, file, "an absolute path or a file URL, such as new URL('./io-worker.mjs', import.meta.url)");
}
