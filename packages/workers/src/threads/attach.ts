/**
 * Attaching a thread to an open store: it gets a channel of its own, and reads and writes blobs right there. All of it goes
 * through shared memory, so that a thread that never returns to its event loop can do it, and that attaching needs nothing but
 * a handle that was cloned.
 */

import { BLOB, BlobstoreError, blobIdOfPage, type Channel, pageOfBlobId, SharedStore, STORE_END } from '@blobyard/core';
import { asyncDispose } from '../api/async-dispose.js';
import { invalid } from '../checks.js';
import { EdgeArrays } from '../data/edge-arrays.js';
import { RequestSlots } from '../data/request-slots.js';
import { allocateFor, releaseTo } from '../data/store-memory.js';
import { WriteOrder } from '../data/write-order.js';
import { coded } from '../failures.js';
import { AttachedBlob } from './attached-blob.js';
import { KeepAlive } from './keep-alive.js';
import { REQUEST } from './mailbox.js';
import { endRemoteChannel, leaveStore, openRemoteChannel, type RemoteChannel } from './remote-channel.js';
import type { RemoteHost } from './remote-host.js';
import { openShared } from './shared-device.js';
import { checkStoreHandle, type StoreHandle, servedHere } from './store-handle.js';

/**
 * Attaches the calling thread to the store that a handle is of. Any thread of the process, as often as it likes.
 * @param given - what `store.share()` answered, cloned by workerData or postMessage
 * @throws EINVAL no such handle, ENOTSUP this is the thread that serves the store, EBADF the store is closed, EIO it has
 * failed, or lost its opener; ENOMEM it has as many channels as it can; and what opening the device throws.
 */
export async function attach(given: StoreHandle): Promise<AttachedStore> {
  try {
    const handle = checkStoreHandle(given);
    requireElsewhere(handle);
    new SharedStore(handle.buffers, 0).requireAlive(); // says it better than a file that is gone
    const { device, share } = await openShared(handle.device, handle.shareWindow);
    try {
      return new AttachedStore(openRemoteChannel(handle, device, share));
    } catch (error) {
      await device.close();
      throw error;
    }
  } catch (error) {
    throw coded(error, 'attach to a store');
  }
}

/** A thread's way into a store that is open on another thread. All methods belong to the thread that attached. */
export class AttachedStore implements AsyncDisposable {
  /** The engine's own channel of this thread, in io units; any `AttachedBlob` is a blob for it. */
  readonly channel: Channel;
  readonly #host: RemoteHost;
  readonly #slots: RequestSlots;
  readonly #edges: EdgeArrays;
  readonly #keepAlive = new KeepAlive();
  readonly #blobs = new Set<AttachedBlob>();
  readonly #opening = new Set<Promise<AttachedBlob>>();
  /** Handles of one blob share the order of its writes. */
  readonly #orders = new Map<bigint, WriteOrder>();
  #isLeaving = false;
  /** The store knows nothing more of this thread. */
  #hasLeft = false;
  #isGone = false;
  #detaching: Promise<void> | undefined;

  /** @param remote - the store's from now on */
  constructor(remote: RemoteChannel) {
    const { host, channel } = remote;
    this.#host = host;
    this.channel = channel;
    this.#slots = new RequestSlots(host.channelOpsMax);
    this.#edges = new EdgeArrays(host.geometry.ioUnitBytes);
    leaveAtExit(this);
    host.life.watch();
  }

  /** True once `detach` was called: nothing new begins. */
  get isDetached(): boolean {
    return this.#isLeaving;
  }

  /** Bytes of an io unit: reads and writes of whole ones take no detour. */
  get ioUnitBytes(): number {
    return this.#host.geometry.ioUnitBytes;
  }

  get clusterSizeBytes(): number {
    return this.#host.geometry.clusterBytes;
  }

  /** What has not ended on this thread's side of the store; each is 0 when nothing is under way. For tests. */
  get underWay(): Readonly<Record<'operations' | 'frozen' | 'requests', number>> {
    const { outstanding, frozenDepth } = this.channel;
    return { operations: outstanding, frozen: frozenDepth, requests: this.#host.mailbox.underWay };
  }

  /** For this package: what handles of blobs need. */
  get host(): Pick<RemoteHost, 'shared' | 'geometry' | 'device' | 'row'> & { readonly keepAlive: KeepAlive } {
    const { shared, geometry, device, row } = this.#host;
    return { shared, geometry, device, row, keepAlive: this.#keepAlive };
  }

  /** For this package: by which this thread has the metadata thread do things. */
  get calls(): RemoteHost['calls'] {
    return this.#host.calls;
  }

  /**
   * Opens a blob by its id, stopping this thread meanwhile.
   * @throws ENOENT no such blob, EBADF detached, or the store is closed; EBUSY where the answer would have to wait for operations
   * in promise form of this same thread.
   */
  blob(id: bigint): AttachedBlob {
    this.#requireAttached();
    const page = pageOf(id);
    try {
      this.channel.requireMayBlock(); // a deletion that waits for them may be in the way
      const { first, second } = this.#host.mailbox.request(REQUEST.OPEN, page).block();
      return this.#opened(id, first, second);
    } catch (error) {
      throw coded(error, `open blob ${id}`);
    }
  }

  /** As `blob`, without stopping the thread. */
  async open(id: bigint): Promise<AttachedBlob> {
    this.#requireAttached();
    const page = pageOf(id);
    const opening = this.whileAlive(`open blob ${id}`, async () => {
      const { first, second } = await this.#host.mailbox.request(REQUEST.OPEN, page).promise();
      return this.#opened(id, first, second);
    });
    this.#opening.add(opening);
    try {
      return await opening;
    } finally {
      this.#opening.delete(opening);
    }
  }

  /** Zeroed shared memory; transfers of a memory device are fastest with it. ENOMEM when there is none. */
  allocate(bytes: number): Uint8Array {
    this.#requireAttached();
    return allocateFor(this.#host.device, bytes);
  }

  /** Gives memory from `allocate` back. */
  release(buffer: Uint8Array): void {
    releaseTo(this.#host.device, buffer);
  }

  /**
   * Closes the blobs, waits for what is under way, and lets go of the store; once that is done a second call answers as the first.
   * A thread that ends without it is detached all the same, once it has ended.
   * @throws what closing the blobs throws (EIO, ENOSPC), and closing the device; all blobs have been tried then, nothing new
   * begins, and a second call goes on. When the store has failed while blobs were open: EIO, though all is let go.
   */
  detach(): Promise<void> {
    this.#detaching ??= this.#detach().catch((error: unknown) => {
      this.#detaching = this.#isGone ? Promise.resolve() : undefined;
      throw error;
    });
    return this.#detaching;
  }

  [asyncDispose](): Promise<void> {
    return this.detach();
  }

  /** For this package: says that the thread ends as it is. */
  leave(): void {
    this.#host.shared.channels.setLeaving(this.#host.row);
    this.#host.mailbox.poke();
  }

  /** For this package: runs an operation, and keeps the process alive until it ends. */
  async whileAlive<T>(doing: string, operation: () => Promise<T>): Promise<T> {
    this.#keepAlive.begin();
    try {
      return await operation();
    } catch (error) {
      throw coded(error, doing);
    } finally {
      this.#keepAlive.end();
      if (this.#isGone) this.#keepAlive.close();
    }
  }

  /** For this package: makes what was acknowledged for a blob durable. */
  async flushBlob({ slot, generation }: AttachedBlob): Promise<void> {
    await this.#host.mailbox.request(REQUEST.FLUSH, slot, generation).promise();
  }

  /**
   * For this package: gives a blob's reference back, unless the store has closed it, and heard what went wrong. When this fails it is
   * still this thread's.
   */
  async closeBlob(blob: AttachedBlob): Promise<void> {
    if (!this.#isGone) await this.#giveBack(blob);
    this.#blobs.delete(blob);
  }

  #opened(id: bigint, slot: number, generation: number): AttachedBlob {
    let order = this.#orders.get(id);
    if (order === undefined) {
      order = new WriteOrder();
      this.#orders.set(id, order);
    }
    const blob = new AttachedBlob(this, { id, slot, generation }, { slots: this.#slots, edges: this.#edges, order });
    this.#blobs.add(blob);
    return blob;
  }

  async #giveBack({ slot, generation }: AttachedBlob): Promise<void> {
    const { shared, mailbox } = this.#host;
    if (shared.blobs.load(slot, BLOB.GENERATION) !== generation) return;
    try {
      await mailbox.request(REQUEST.CLOSE, slot, generation).promise();
    } catch (error) {
      if (shared.end !== STORE_END.CLOSED) throw error;
    }
  }

  async #detach(): Promise<void> {
    this.#isLeaving = true;
    await this.whileAlive('detach from the store', async () => {
      await Promise.allSettled(this.#opening); // they are closed with the others
      const closed = await Promise.allSettled([...this.#blobs].map((blob) => blob.close()));
      const failed = closed.find((each) => each.status === 'rejected');
      if (failed && this.#host.shared.end === STORE_END.OPEN) throw failed.reason;
      await this.#letGo();
      if (failed) throw failed.reason; // of a store that has failed: what was acknowledged may be lost
    });
  }

  async #letGo(): Promise<void> {
    if (!this.#hasLeft) await leaveStore(this.#host);
    this.#hasLeft = true;
    stayAtExit(this);
    await endRemoteChannel({ host: this.#host, channel: this.channel });
    await this.#host.device.close();
    this.#isGone = true;
  }

  #requireAttached(): void {
    if (this.isDetached)
      throw new BlobstoreError('EBADF', 'this thread has detached from the store: attach it again first');
  }
}

/** A thread that stops for an answer which it has to give itself would stop for ever. */
function requireElsewhere({ name }: StoreHandle): void {
  if (!servedHere.has(name)) return;
  const advice = 'use the store itself here, and attach to it from other threads';
  throw new BlobstoreError('ENOTSUP', `this thread has the store open, and serves it to others: ${advice}`);
}

function pageOf(id: bigint): number {
  if (typeof id !== 'bigint') throw invalid('the id of a blob', id, 'a bigint');
  const page = pageOfBlobId(id);
  if (blobIdOfPage(page) === id) return page;
  throw new BlobstoreError('ENOENT', `there is no blob ${id}: no blob can have that id`);
}

/** What is attached on this thread, to be left when it ends. */
const attached = new Set<AttachedStore>();

function leaveAtExit(store: AttachedStore): void {
  if (attached.size === 0) process.on('exit', leaveAll);
  attached.add(store);
}

function stayAtExit(store: AttachedStore): void {
  attached.delete(store);
  if (attached.size === 0) process.removeListener('exit', leaveAll);
}

function leaveAll(): void {
  for (const store of attached) store.leave();
}
