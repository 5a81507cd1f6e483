/**
 * The host of a channel on a thread other than the metadata thread: shared memory, a device of its own, and a mailbox.
 */

import {
  BLOB,
  type BlobCluster,
  type BlobRef,
  type BlockDevice,
  type Channel,
  type ChannelHost,
  type ClaimedCluster,
  Geometry,
  type MaybePromise,
  type MetadataPort,
  SharedStore,
  type Steps,
  waitFor,
} from '@blobyard/core';
import { openDeviceNowOrLater } from '@blobyard/io/internal/device-spec';
import type { StoreHandle } from '../api/store-handle.js';
import type { MetadataCalls } from '../calls/metadata-calls.js';
import { CallClient } from '../mailbox/call-client.js';
import { SpecReceiver } from '../mailbox/external-specs.js';
import { NO_ENTRY, REQUEST } from '../mailbox/mailbox.js';
import { MailboxClient } from '../mailbox/mailbox-client.js';
import { ThreadLife } from './store-life.js';

const RELEASE_OUTCOMES = ['done', 'frozen', 'locked'] as const;

/** The engine's metadata port over a mailbox. */
export class RemotePort implements MetadataPort {
  readonly #mailbox: MailboxClient;

  constructor(mailbox: MailboxClient) {
    this.#mailbox = mailbox;
  }

  *insertCluster(
    slot: number,
    index: BlobCluster,
    claimed: ClaimedCluster,
    meanwhile?: () => void,
  ): Steps<'inserted' | 'exists'> {
    const { cluster, extentPage, entry = NO_ENTRY } = claimed;
    const request = [REQUEST.INSERT, slot, index, cluster, extentPage, entry] as const;
    const { first } = yield* waitFor(this.#mailbox.requestAnd(meanwhile, ...request));
    return first === 1 ? 'inserted' : 'exists';
  }

  *raiseHighWater(cluster: number): Steps<void> {
    yield* waitFor(this.#mailbox.request(REQUEST.RAISE_HIGH_WATER, cluster));
  }

  *discardCluster(slot: number, claimed: ClaimedCluster, written: boolean): Steps<void> {
    const { cluster, extentPage, entry = NO_ENTRY } = claimed;
    const isWritten = written ? 1 : 0;
    yield* waitFor(this.#mailbox.request(REQUEST.DISCARD, slot, cluster, extentPage, entry, isWritten));
  }

  *releaseCluster(ref: BlobRef, index: BlobCluster): Steps<'done' | 'frozen' | 'locked'> {
    const { first } = yield* waitFor(this.#mailbox.request(REQUEST.RELEASE, ref.slot, ref.generation, index));
    return RELEASE_OUTCOMES[first];
  }

  *reclaim(): Steps<boolean> {
    const { first } = yield* waitFor(this.#mailbox.request(REQUEST.RECLAIM));
    return first === 1;
  }

  drained(): void {
    this.#mailbox.poke();
  }
}

/** The device behind an external clone, opened on this thread. */
interface External {
  readonly generation: number;
  readonly epoch: number;
  readonly device: MaybePromise<BlockDevice | undefined>;
}

/** The hosts of this thread, by the names of their stores. A thread may attach more than once. */
const hostsHere = new Map<string, Set<RemoteHost>>();

/** Only the channel's thread uses it. */
export class RemoteHost implements ChannelHost {
  readonly shared: SharedStore;
  readonly geometry: Geometry;
  readonly device: BlockDevice;
  readonly metadata: RemotePort;
  readonly row: number;
  readonly isMetadataThread = false;
  readonly channelOpsMax: number;
  readonly mailbox: MailboxClient;
  readonly life: ThreadLife;
  readonly #externals = new Map<number, External>();
  readonly #handle: StoreHandle;
  readonly #here: Set<RemoteHost>;
  /** The channel of this host, once it is open. */
  channel: Channel | undefined;
  #calls: CallClient<MetadataCalls> | undefined;
  readonly #specs: SpecReceiver;

  /**
   * @param device - the store's device, open on this thread
   * @param row - the row of the channel table that this thread has claimed
   */
  constructor(handle: StoreHandle, device: BlockDevice, row: number) {
    this.#handle = handle;
    this.shared = SharedStore.ofRow(handle.buffers, row);
    this.life = new ThreadLife(handle, this.shared, row);
    this.shared.life = this.life;
    this.geometry = new Geometry(handle.geometry);
    this.device = device;
    this.row = row;
    this.channelOpsMax = handle.channelOpsMax;
    this.mailbox = new MailboxClient(this.shared, handle.mailboxes, row);
    this.metadata = new RemotePort(this.mailbox);
    this.#specs = new SpecReceiver(handle.name, row);
    this.#here = hostsHere.get(handle.name) ?? new Set();
    this.#here.add(this);
    hostsHere.set(handle.name, this.#here);
  }

  /** See `ChannelHost`. */
  isInsideElsewhere(): boolean {
    for (const host of this.#here) if (host !== this && host.channel?.isInside) return true;
    return false;
  }

  /**
   * Throws EBUSY if a synchronous request to the metadata thread could be a deadlock. The metadata thread may have to
   * wait until this thread has left a blob, on any of its channels, or has seen the progress of long work.
   */
  requireMayBlock(): void {
    this.channel?.requireMayBlock();
    for (const host of this.#here) host.#calls?.requireUnwatched();
  }

  /** Calls of methods on the metadata thread. Created on first use, with a broadcast channel for the messages. */
  get calls(): CallClient<MetadataCalls> {
    const { shared, mailbox, row } = this;
    const { mailboxes, name } = this.#handle;
    this.#calls ??= new CallClient({ shared, mailbox, mailboxes, row, name });
    return this.#calls;
  }

  /**
   * The device behind an external clone. Asks the metadata thread once for each device, and blocks this thread for the
   * answer. The metadata thread answers without waiting for anything.
   */
  externalDevice(slot: number): MaybePromise<BlockDevice | undefined> {
    const { blobs } = this.shared;
    const generation = blobs.load(slot, BLOB.GENERATION);
    const epoch = blobs.load(slot, BLOB.EXTERNAL_EPOCH);
    const known = this.#externals.get(slot);
    if (known?.generation === generation && known.epoch === epoch) return known.device;
    const { first } = this.mailbox.request(REQUEST.EXTERNAL, slot, generation).block();
    const device = first === 0 ? undefined : openDeviceNowOrLater(this.#specs.take(slot));
    const external = { generation, epoch, device };
    this.#externals.set(slot, external);
    if (device instanceof Promise) this.#settle(slot, external, device);
    if (known) void closeLater(known);
    return device;
  }

  /** Closes the devices behind external clones, and the broadcast channels. */
  async close(): Promise<void> {
    this.#here.delete(this);
    if (this.#here.size === 0) hostsHere.delete(this.#handle.name);
    this.#calls?.close();
    this.#specs.close();
    for (const [slot, external] of this.#externals) {
      this.#externals.delete(slot);
      await closeLater(external);
    }
  }

  /**
   * Replaces the promise of a device by the device, so that synchronous calls can use it. If opening it failed, forgets
   * the promise, so that the next call asks again.
   */
  #settle(slot: number, external: External, opening: Promise<BlockDevice>): void {
    const replace = (device: BlockDevice | undefined) => {
      if (this.#externals.get(slot) !== external) return;
      if (device) this.#externals.set(slot, { ...external, device });
      else this.#externals.delete(slot);
    };
    opening.then(replace, () => replace(undefined));
  }
}

/** Closes a device once it has been opened. Errors are ignored: they no longer concern the store. */
async function closeLater({ device }: External): Promise<void> {
  try {
    await (await device)?.close();
  } catch {
    // opening or closing it failed
  }
}
