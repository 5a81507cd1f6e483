/** An attached thread that makes every possible call on a device whose errors are not a `BlobstoreError`. */

import { parentPort, workerData } from 'node:worker_threads';
import { attach, type StoreHandle } from 'blobyard';
import { channelCalls, endsOf, promiseCalls, syncCalls } from './raw-calls.js';
import { RAW } from './raw-device.js';

export interface RawThreadData {
  readonly handle: StoreHandle;
  readonly id: bigint;
  readonly control: Int32Array;
  readonly hasSync: boolean;
}

const { handle, id, control, hasSync } = workerData as RawThreadData;
const fail = (what: number) => Atomics.store(control, 0, what);

fail(RAW.OPENING);
const opening = await endsOf({ 'attach, where opening fails': () => attach(handle) });
fail(RAW.CHANNELS);
const channels = await endsOf({ 'attach, where channels fail': () => attach(handle) });
fail(RAW.NOTHING);
const yard = await attach(handle);
const blob = await yard.open(id);
const changed = await yard.open(id);
await changed.write(new Uint8Array(4096).fill(1), 200_000); // so that closing has something to write
fail(RAW.TRANSFERS);
const transfers = {
  ...(hasSync ? await endsOf(syncCalls(blob)) : {}),
  ...(await endsOf(promiseCalls(blob))),
  ...(await endsOf(channelCalls(yard.channel, blob, hasSync))),
  ...(await endsOf({ 'blob.close': () => changed.close(), detach: () => yard.close() })),
};
fail(RAW.CLOSING);
const closing = await endsOf({ 'detach, where closing fails': () => yard.close() });
fail(RAW.NOTHING);
await yard.close();
parentPort?.postMessage({ ...opening, ...channels, ...transfers, ...closing });
