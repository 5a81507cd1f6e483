/** How a metadata thread calls the callbacks of a client: by an event to the client, which the client answers later. */

import type { MessagePort } from 'node:worker_threads';
import { BlobstoreError, type BlockDevice, type MaybePromise } from '@blobyard/core';
import type { DeviceSpec } from '@blobyard/io';
import { PAUSE, type PacedWorkOptions } from '../checks/long-work.js';
import { openKnown } from '../devices/open-device.js';
import type { MetadataEvent } from '../ports/store-parts.js';
import { CauseElsewhere, fromWire } from '../threads/wire-error.js';
import type { ExternalAnswer, Followed, ServiceEvent } from './service-events.js';

/** Long work that the client follows. */
interface FollowedWork {
  readonly abort: AbortController;
  /** The gate that opens when the client has seen the reported progress. Undefined if it has seen all of it. */
  unseen: Gate | undefined;
  /** The client's callback threw. */
  isRefused: boolean;
  /** The work no longer waits for the client to see progress. */
  isUnpaced: boolean;
}

interface Gate {
  readonly opened: Promise<void>;
  open(): void;
}

interface Asked {
  resolve(spec: DeviceSpec | null): void;
  reject(error: Error): void;
}

/** The callbacks of one client. Metadata thread. */
export class ClientCallbacks {
  readonly #events: Pick<MessagePort, 'postMessage'>;
  readonly #work = new Map<number, FollowedWork>();
  readonly #asked = new Map<number, Asked>();
  #nextRequest = 1;

  constructor(events: Pick<MessagePort, 'postMessage'>) {
    this.#events = events;
  }

  /**
   * Runs long work with options that report to the client. After each cluster the work waits until the client has seen
   * the progress. So a callback that throws or aborts ends the work before its next cluster, as if it ran on the
   * client's thread.
   */
  async follow<T>({ call, hasProgress }: Followed, begin: (options: PacedWorkOptions) => Promise<T>): Promise<T> {
    const work: FollowedWork = { abort: new AbortController(), unseen: undefined, isRefused: false, isUnpaced: false };
    this.#work.set(call, work);
    try {
      if (!hasProgress) return await begin({ signal: work.abort.signal });
      const answer = await begin({
        signal: work.abort.signal,
        onProgress: (progress) => {
          if (!work.isUnpaced) work.unseen ??= newGate();
          this.#post({ kind: 'progress', call, progress });
        },
        [PAUSE]: () => whenSeen(work),
      });
      await whenSeen(work);
      return answer;
    } finally {
      this.#work.delete(call);
    }
  }

  /** Aborts a call: the client's signal was aborted. Does nothing when the call has ended. */
  abort(call: number): void {
    this.#work.get(call)?.abort.abort(new CauseElsewhere('signal'));
  }

  /**
   * The client has seen the progress that was last reported.
   * @param isRefused - its callback threw
   */
  seen(call: number, isRefused: boolean): void {
    const work = this.#work.get(call);
    if (work === undefined) return;
    work.isRefused ||= isRefused;
    goOn(work);
  }

  /** Work under way no longer waits for the client to see its progress: the store is about to close. */
  unpace(): void {
    for (const work of this.#work.values()) {
      work.isUnpaced = true;
      goOn(work);
    }
  }

  /** Aborts all work under way: the client is gone. */
  abortAll(): void {
    for (const { abort } of this.#work.values()) abort.abort();
    this.unpace();
  }

  /** Opens the device of an external snapshot, by the spec that the client returns; null when it has none. */
  async findExternal(wanted: { blobId: bigint; snapshotId: Uint8Array }): Promise<BlockDevice | null> {
    const { blobId, snapshotId } = wanted;
    const request = this.#nextRequest++;
    const spec = await new Promise<DeviceSpec | null>((resolve, reject) => {
      this.#asked.set(request, { resolve, reject });
      this.#post({ kind: 'external', request, blobId, snapshotId });
    });
    if (spec === null) return null;
    const onClose = () => this.#post({ kind: 'external-closed', request });
    try {
      return tellingClose(await openKnown(spec), onClose);
    } catch (error) {
      onClose();
      throw error;
    }
  }

  /** Reports an event of the store to the client. */
  storeEvent(event: MetadataEvent): void {
    this.#post({ kind: 'store', event });
  }

  /** The client's answer to a request of `findExternal`. */
  answerExternal(request: number, answer: ExternalAnswer): void {
    const asked = this.#asked.get(request);
    this.#asked.delete(request);
    if ('error' in answer) asked?.reject(fromWire(answer.error));
    else asked?.resolve(answer.spec);
  }

  #post(event: ServiceEvent): void {
    this.#events.postMessage(event);
  }
}

/** Waits until the client has seen all progress. Throws ECANCELED if the client's callback threw. */
async function whenSeen(work: FollowedWork): Promise<void> {
  await work.unseen?.opened;
  if (!work.isRefused) return;
  const cause = new CauseElsewhere('callback');
  throw new BlobstoreError('ECANCELED', 'onProgress threw, which ends the operation', { cause });
}

function goOn(work: FollowedWork): void {
  work.unseen?.open();
  work.unseen = undefined;
}

function newGate(): Gate {
  let open: () => void = () => undefined;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}

/** The same device; from now on its `close` also calls `onClose`, whether closing fails or not. */
function tellingClose(device: BlockDevice, onClose: () => void): BlockDevice {
  const close = device.close.bind(device);
  device.close = () => {
    let closing: MaybePromise<void>;
    try {
      closing = close();
    } catch (error) {
      onClose();
      throw error;
    }
    if (closing instanceof Promise) return closing.finally(onClose);
    return onClose();
  };
  return device;
}
