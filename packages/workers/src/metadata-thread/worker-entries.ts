/**
 * The files that worker threads load. Either has each class and each piece of module state once:
 * - Built files: one file for each kind of worker, made by the build. It has all of this project's code in it, and loads
 *   in a tenth of the time.
 * - Modules, as they were compiled, which importing this project's packages also finds. For stores whose devices may be
 *   of a module of the user: that may import `blobyard/devices`, and its devices must be of the classes that the worker
 *   knows.
 *
 * Each URL is written out, because tools that bundle an application, or list its files, find the files by that.
 */

import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { BlobstoreError } from '@blobyard/core';
import type { DeviceSpec } from '@blobyard/io';
import type { WorkerEntries } from '../checks/worker-files.js';

/**
 * Returns the files for the threads of a store. Throws ENOTSUP if one of them does not exist.
 * @param findsExternal - external snapshots may come later, on devices of any kind
 * @param given - the files that the user names. They are built files
 */
export function entriesFor(
  device: DeviceSpec,
  findsExternal: boolean,
  given: WorkerEntries | undefined,
): WorkerEntries {
  const isOfModules = device.kind === 'custom' || findsExternal;
  const entries = given ?? (isOfModules ? ownModules() : ownBuiltFiles());
  for (const file of [entries.metadata, entries.io]) {
    if (!existsSync(file)) throw missing(`the file of a worker thread, ${fileURLToPath(file)}, does not exist`);
  }
  return entries;
}

function ownBuiltFiles(): WorkerEntries {
  try {
    return {
      metadata: new URL('../built/metadata-worker.mjs', import.meta.url),
      io: new URL('../built/io-worker.mjs', import.meta.url),
    };
  } catch (cause) {
    throw noUrl(cause);
  }
}

function ownModules(): WorkerEntries {
  try {
    return {
      metadata: new URL('./metadata-worker.js', import.meta.url),
      io: new URL('../io-pool/io-worker.js', import.meta.url),
    };
  } catch (cause) {
    throw noUrl(cause);
  }
}

/** Bundled into a CommonJS file, this module has no URL. */
function noUrl(cause: unknown): BlobstoreError {
  return missing('the files of the worker threads cannot be found from a bundled CommonJS file', cause);
}

function missing(what: string, cause?: unknown): BlobstoreError {
  const advice =
    "when you bundle the application, keep the package blobyard external, or copy the files of 'blobyard/metadata-worker' and " +
    "'blobyard/io-worker' beside the bundle, and name them by the option workers";
  return new BlobstoreError('ENOTSUP', `${what}: ${advice}`, { cause });
}
