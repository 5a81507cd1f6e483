/**
 * A thread that claims clusters, some with pages, and unclaims them, at random, until it is stopped or killed. It
 * records its claims in shared memory: no other thread may get these while it lives. Run by `claim-fuzz.test.ts`.
 */

import { parentPort, workerData } from 'node:worker_threads';
import { BlobstoreError, type ClaimedCluster, claimCluster, unclaimCluster } from '@blobyard/core';
import { attach, type StoreHandle } from '@blobyard/workers';
import { hostOf } from '../../../packages/workers/dist/open/internal.js';
import { numbers } from '../api/numbers.js';
import { CLAIM_TABLE } from './claim-table.js';

export interface ClaimFuzzData {
  readonly handle: StoreHandle;
  readonly seed: number;
  /** The number of this thread, from 1 on. No number is used twice. */
  readonly number: number;
  /** Words as in `CLAIM_TABLE`. */
  readonly table: Int32Array;
}

export interface ClaimFuzzResult {
  readonly row: number;
  readonly claims: readonly ClaimedCluster[];
}

const CLAIMS_MAX = 24;

const { handle, seed, number, table } = workerData as ClaimFuzzData;
const random = numbers(seed);
const store = await attach(handle);
const { shared } = hostOf(store);
const claims: ClaimedCluster[] = [];

/** Records this thread as the owner at a word. Throws if a thread owns it that lives and is not about to be killed. */
function own(at: number): void {
  const before = Atomics.exchange(table, at, number);
  if (before === 0 || Atomics.load(table, CLAIM_TABLE.DYING + before) === 1) return;
  throw new Error(`thread ${number} has claimed what thread ${before} owns: word ${at} of the claim table`);
}

function disown(at: number): void {
  Atomics.compareExchange(table, at, number, 0);
}

function claim(): void {
  try {
    const claimed = claimCluster(shared, random(2) === 0);
    own(CLAIM_TABLE.CLUSTERS + claimed.cluster);
    if (claimed.extentPage !== 0) own(CLAIM_TABLE.PAGES + claimed.extentPage);
    claims.push(claimed);
  } catch (error) {
    if (!(error instanceof BlobstoreError && error.code === 'ENOSPC')) throw error;
  }
}

function giveBack(): void {
  const [claimed] = claims.splice(random(claims.length), 1);
  disown(CLAIM_TABLE.CLUSTERS + claimed.cluster);
  if (claimed.extentPage !== 0) disown(CLAIM_TABLE.PAGES + claimed.extentPage);
  unclaimCluster(shared, claimed);
}

parentPort?.postMessage(shared.threadId - 1);
while (Atomics.load(table, CLAIM_TABLE.STOP) === 0) {
  Atomics.wait(table, CLAIM_TABLE.PAUSE, 1);
  if (claims.length > 0 && (claims.length === CLAIMS_MAX || random(2) === 0)) giveBack();
  else claim();
  Atomics.add(table, CLAIM_TABLE.STEPS + number, 1);
}
parentPort?.postMessage({ row: shared.threadId - 1, claims } satisfies ClaimFuzzResult);
Atomics.wait(table, CLAIM_TABLE.STOP, 1);
