/** Inspects a store after its process was killed: opens it, checks it as a whole, and reads every blob. */

import { copyFileSync, rmSync } from 'node:fs';
import { check, openStore, type Store } from 'blobyard';
import { acquireStoreLock } from 'blobyard/devices';
import { run } from 'blobyard/engine';
import type { FoundBlob } from './oracle.js';
import type { Durability } from './protocol.js';

export interface Inspected {
  readonly found: ReadonlyMap<string, FoundBlob>;
  readonly findings: string[];
}

/**
 * Inspects the store in a file, and closes it. With `isCopied` it inspects a copy, so that the next process still has
 * to recover the file. In both cases the lock of the file must be free.
 */
export async function inspect(path: string, durability: Durability, isCopied: boolean): Promise<Inspected> {
  if (!isCopied) return inspectFile(path, durability);
  acquireStoreLock(path).release();
  const copy = `${path}.copy`;
  copyFileSync(path, copy);
  try {
    return await inspectFile(copy, durability);
  } finally {
    rmSync(copy);
  }
}

async function inspectFile(path: string, durability: Durability): Promise<Inspected> {
  const findings = await damageOf(path, 'as it was left');
  const inspected = await inspectStore(path, durability);
  findings.push(...inspected.findings, ...(await damageOf(path, 'closed again')));
  return { found: inspected.found, findings };
}

/** The damage that a check of the closed store finds, as texts. */
async function damageOf(path: string, when: string): Promise<string[]> {
  const { findings } = await check({ kind: 'file', path });
  const damage = findings.filter(({ severity }) => severity === 'damage');
  return damage.map(({ message }) => `a check of the store ${when}: ${message}`);
}

async function inspectStore(path: string, durability: Durability): Promise<Inspected> {
  const store = await openStore({ device: { kind: 'file', path }, durability });
  try {
    const findings = await examine(store);
    const found = new Map<string, FoundBlob>();
    for (const { id, name } of await store.blobs()) {
      if (name === undefined || found.has(name)) findings.push(`blob ${id} has the name ${name}`);
      else found.set(name, await readBlob(store, id));
    }
    return { found, findings };
  } finally {
    await store.close();
  }
}

/** Runs all checks of the open store as a whole. Returns what is wrong. */
async function examine(store: Store): Promise<string[]> {
  const findings = store.damaged.map(({ id, error }) => `blob ${id} is damaged: ${error.message}`);
  try {
    await run(store.engine.blobstore.audit());
  } catch (error) {
    findings.push(`the audit: ${error instanceof Error ? error.message : error}`);
  }
  return findings;
}

async function readBlob(store: Store, id: bigint): Promise<FoundBlob> {
  const blob = await store.open(id);
  const xattrs = new Map<string, string>();
  for (const name of await blob.xattrs.list()) xattrs.set(name, (await blob.xattrs.getText(name)) as string);
  const content = await blob.read(0, blob.sizeBytes);
  const found = { id, content, xattrs, isReadOnly: blob.isReadOnly };
  await blob.close();
  return found;
}
