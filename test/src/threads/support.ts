/** What the tests of pool mode share. */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { CreateStoreOptions, OpenStoreOptions, Store } from 'blobyard';
import { onTestFinished } from 'vitest';
import { createStoreOf, openStoreOf } from '../../../packages/workers/dist/open/open-store.js';
import { WatchedParts } from './parts.js';

/** The path of a file for a store. It is removed when the test has finished. */
export async function temporaryFile(): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'blobyard-threads-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return path.join(folder, 'yard.img');
}

/** A store in pool mode, and access to its threads. */
export interface Pooled {
  readonly store: Store;
  readonly parts: WatchedParts;
}

export async function createPooled(options: CreateStoreOptions): Promise<Pooled> {
  const parts = new WatchedParts();
  return closedAtEnd({ store: await createStoreOf({ threads: 1, ...options }, parts), parts });
}

export async function openPooled(options: OpenStoreOptions): Promise<Pooled> {
  const parts = new WatchedParts();
  return closedAtEnd({ store: await openStoreOf({ threads: 1, ...options }, parts), parts });
}

function closedAtEnd(pooled: Pooled): Pooled {
  onTestFinished(() =>
    pooled.store.close().catch(() => {
      // the test has seen why
    }),
  );
  return pooled;
}
