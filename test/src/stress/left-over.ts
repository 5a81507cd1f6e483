/** Looks for leaks when no operation is under way any more: requests, counters, claims, frozen blobs, rows. */

import { BLOB, CHANNELS_MAX, ChannelTable, ClaimLog, SharedStore } from '@blobyard/core';
import type { Store, StoreHandle } from '@blobyard/workers';
import { Mailbox, REQUESTS_MAX, SLOT, STATE } from '../../../packages/workers/dist/mailbox/mailbox.js';
import { underWayOf } from '../../../packages/workers/dist/open/internal.js';

/** The longest time in milliseconds until a dead thread's row must be free. */
const ROW_WAIT_MS = 5000;
/** The number of blob slots that are checked. */
const SLOTS = 64;

/** The number of taken rows of the channel table. */
export function rowsTaken(handle: StoreHandle): number {
  const table = new ChannelTable(handle.buffers.channels);
  let taken = 0;
  for (let row = 0; row < CHANNELS_MAX; row++) if (table.isTaken(row)) taken++;
  return taken;
}

/** Looks for leaks. Called after all attached threads and all operations have ended. Returns the leaks as texts. */
export async function findLeftOver(store: Store, handle: StoreHandle, rowsBefore: number): Promise<string[]> {
  const findings: string[] = [];
  const deadline = Date.now() + ROW_WAIT_MS;
  while (rowsTaken(handle) !== rowsBefore && Date.now() < deadline) await new Promise((done) => setTimeout(done, 20));
  if (rowsTaken(handle) !== rowsBefore) findings.push(`channel rows: ${rowsTaken(handle)} taken, ${rowsBefore} before`);
  for (const [what, count] of Object.entries(underWayOf(store))) {
    if (count !== 0) findings.push(`the store has left over: ${what} ${count}`);
  }
  const table = new ChannelTable(handle.buffers.channels);
  for (let row = 0; row < CHANNELS_MAX; row++) {
    if (table.isInside(row)) findings.push(`channel row ${row} is inside a blob`);
    const claims = new ClaimLog(handle.buffers.claims, row).claims();
    if (claims.length > 0) findings.push(`channel row ${row} has ${claims.length} claims`);
    const slots = slotsInUse(handle, row);
    if (slots > 0) findings.push(`the mailbox of row ${row} has ${slots} slots in use`);
  }
  if (table.hasDrainWaiters) findings.push('somebody waits until a blob is drained');
  const { blobs } = new SharedStore(handle.buffers, 0);
  for (let slot = 0; slot < Math.min(SLOTS, handle.buffers.blobs.byteLength / 4 / BLOB.WORDS); slot++) {
    const frozen = blobs.load(slot, BLOB.FROZEN);
    if (frozen > 0) findings.push(`the blob of slot ${slot} is frozen ${frozen} times`);
  }
  return findings;
}

function slotsInUse(handle: StoreHandle, row: number): number {
  const mailbox = new Mailbox(handle.mailboxes, row);
  let inUse = 0;
  for (let slot = 0; slot < REQUESTS_MAX; slot++) {
    if (Atomics.load(mailbox.words, mailbox.slotAt(slot) + SLOT.STATE) !== STATE.FREE) inUse++;
  }
  return inUse;
}
