/**
 * An I/O worker's side of a ring: takes requests, has its channel execute them, and answers.
 *
 * Requests that the channel can execute synchronously are executed so. All others (asynchronous devices, frozen blobs,
 * clusters to be allocated, vectors) use promises, so that a request that waits does not delay others. When the ring is
 * empty the server polls for a moment, if polling has paid lately (`Spin`), and then sleeps in its event loop. Under
 * continuous load the event loop gets a turn every few milliseconds.
 */

import type { MessagePort } from 'node:worker_threads';
import { assert, type BlobRef, BlobstoreError, type Channel } from '@blobyard/core';
import type { SharedWasmMemory } from '@blobyard/io/internal/bulk-memory';
import { KeepAlive } from '../../threads/keep-alive.js';
import { Spin } from '../../threads/spin.js';
import type { BellHooks } from './bell.js';
import { CompletionWriter } from './completion-ring.js';
import { MemoryTable } from './memory-table.js';
import { RING_OP, type RingBuffers, requestWeight } from './ring-layout.js';
import { readTable } from './scatter-list.js';
import type { WorkerMessage } from './shared-buffers.js';
import { SubmissionReader } from './submission-ring.js';

/** What the server needs of a channel; the engine's `Channel` has all of it. */
export type RingChannel = Pick<
  Channel,
  | 'tryReadNow'
  | 'tryWriteNow'
  | 'tryReadBytesNow'
  | 'tryWriteBytesNow'
  | 'read'
  | 'write'
  | 'readBytes'
  | 'writeBytes'
  | 'readv'
  | 'writev'
  | 'writeZeroes'
  | 'unmap'
>;

export interface RingServerOptions {
  readonly channel: RingChannel;
  /** The memory of this thread's device, if that is a memory device. */
  readonly deviceMemory?: SharedWasmMemory;
  /** Requests in promise form that the channel takes at once (`channelOpsMax`); 512 unless given. */
  readonly promisesMax?: number;
  /**
   * True if the device's synchronous transfers end soon, and wait for no other thread. Only then the client is told of
   * several answers at once; otherwise of each one, before the next request is begun.
   */
  readonly isPrompt?: boolean;
  /** For tests. */
  readonly hooks?: BellHooks;
}

const PROMISES_MAX = 512;
/**
 * The most requests, and the most weight, that are served before the client is told of the answers. The client is woken
 * once for them, and makes the next requests while the worker goes on.
 */
const BATCH_REQUESTS = 16;
const BATCH_WEIGHT = 128;
/**
 * A request of this weight (256 KiB) takes about as long as waking the client. If the requests have this weight or more
 * on average, the client is told when half of those that are there are done. So it makes the next ones while the worker
 * does the other half.
 */
const LONG_WEIGHT = 17;
/** The part of the last batch in the moving average of the pace that is published to the client. */
const PACE_NEW_PART = 1 / 4;
/** The longest time between two turns of the event loop under load. */
const SLICE_MS = 2;
/** The server of one ring. Only the worker's thread uses it. */
export class RingServer {
  readonly #submissions: SubmissionReader;
  readonly #completions: CompletionWriter;
  readonly #port: MessagePort;
  readonly #channel: RingChannel;
  readonly #memories: MemoryTable;
  readonly #promisesMax: number;
  readonly #isPrompt: boolean;
  /** Reused for calls that keep no reference to it. */
  readonly #blob = { slot: 0, generation: 0 };
  /** The number of requests in promise form that are under way. */
  #underWay = 0;
  #isRunning = false;
  #isScheduled = false;
  #isAsleep = false;
  #isClosing = false;
  readonly #spin = new Spin();
  /** An immediate is scheduled that tells the client of the answers of promises. */
  #isTelling = false;
  /** The moving average of milliseconds for a unit of weight. */
  #pace = 0;
  #finish: () => void = () => assert(false, 'a ring server has ended that did not run');
  readonly #ended: Promise<void>;

  /** @param port - connected to the client's port for this worker; only the server uses it */
  constructor(ring: RingBuffers, port: MessagePort, options: RingServerOptions) {
    this.#submissions = new SubmissionReader(ring, options.hooks);
    this.#completions = new CompletionWriter(ring);
    this.#port = port;
    this.#channel = options.channel;
    this.#promisesMax = options.promisesMax ?? PROMISES_MAX;
    this.#isPrompt = options.isPrompt ?? false;
    this.#memories = new MemoryTable(port, options.deviceMemory?.buffer, () => void this.close());
    this.#ended = new Promise((resolve) => {
      this.#finish = resolve;
    });
  }

  /** The number of requests in promise form that have not ended. */
  get underWay(): number {
    return this.#underWay;
  }

  /**
   * Serves until `close` or the client's `removeWorker` is called, the signal is aborted, or the port closes. To be
   * called once.
   */
  async run(signal?: AbortSignal): Promise<void> {
    assert(!this.#isRunning, 'a ring server runs twice');
    this.#isRunning = true;
    // A sleep does not keep the thread alive, and not every device does.
    const keepAlive = new KeepAlive();
    keepAlive.begin();
    const stop = () => void this.close();
    if (signal?.aborted) stop();
    signal?.addEventListener('abort', stop);
    this.#port.on('message', (message: WorkerMessage) => this.#memories.accept(message));
    this.#port.once('close', stop);
    this.#schedule();
    await this.#ended;
    signal?.removeEventListener('abort', stop);
    this.#port.off('close', stop);
    this.#port.close();
    this.#submissions.dismiss();
    keepAlive.close();
  }

  /** Answers all requests that were submitted before, and then ends `run`. */
  close(): Promise<void> {
    this.#isClosing = true;
    if (this.#isRunning) this.#schedule();
    return this.#ended;
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(this.#scheduled);
  }

  readonly #scheduled = (): void => {
    this.#isScheduled = false;
    this.#turn();
  };

  readonly #wake = (): void => {
    // A scheduled turn will check the ring anyway.
    if (!this.#isScheduled) this.#turn();
  };

  readonly #hasWork = (): boolean => this.#submissions.available > 0;

  /** Serves until there is nothing to do, or the event loop needs a turn. */
  #turn(): void {
    if (this.#isAsleep) {
      this.#isAsleep = false;
      this.#submissions.rise();
    }
    // The clock is read as rarely as possible: until the code is compiled, a read takes as long as a short request.
    let now = performance.now();
    const end = now + SLICE_MS;
    for (;;) {
      const weight = this.#hasWork() ? this.#serveBatch() : 0;
      if (weight > 0) {
        const begin = now;
        now = performance.now();
        this.#measure((now - begin) / weight);
        // Requests in promise form only make progress when the event loop turns.
        if (this.#underWay === 0 && now < end) continue;
        this.#schedule();
        return;
      }
      if (this.#isHeld) {
        return; // the next request in promise form that ends schedules a turn
      }
      if (this.#isClosing) {
        if (this.#underWay === 0) this.#finish();
        return;
      }
      if (this.#underWay === 0 && this.#spin.until(this.#hasWork)) {
        now = performance.now();
        continue;
      }
      this.#isAsleep = this.#submissions.sleep(this.#hasWork, this.#wake);
      if (this.#isAsleep) return;
    }
  }

  /** True if as many requests in promise form are under way as the channel takes. */
  get #isHeld(): boolean {
    return this.#underWay >= this.#promisesMax;
  }

  /** Begins a batch of requests. Returns their weight, 0 when there was none. */
  #serveBatch(): number {
    const { available } = this.#submissions;
    const count = Math.min(available, BATCH_REQUESTS);
    let served = 0;
    let weight = 0;
    while (served < count && weight < BATCH_WEIGHT && !this.#isHeld) {
      this.#submissions.take();
      weight += requestWeight(this.#submissions.byteLength);
      served++;
      this.#serve(this.#submissions.tag);
      if (served * 2 >= available && weight >= served * LONG_WEIGHT) break;
    }
    this.#completions.ring();
    return weight;
  }

  /** Adds the last batch to the moving average, and publishes it. @param pace - milliseconds for a unit of weight */
  #measure(pace: number): void {
    this.#pace += (pace - this.#pace) * PACE_NEW_PART;
    this.#completions.setPace(this.#pace * 1e6);
  }

  /** Executes the taken entry. */
  #serve(tag: number): void {
    try {
      if (this.#tryNow()) this.#completions.succeed(tag);
      else {
        this.#completions.ring(); // beginning the request may block, for a lock or an external snapshot's device
        this.#follow(tag, this.#start());
      }
    } catch (error) {
      this.#completions.fail(tag, error);
    }
    if (!this.#isPrompt) this.#completions.ring();
  }

  /** Executes the taken entry synchronously. Returns false when the channel cannot do that. */
  #tryNow(): boolean {
    const entry = this.#submissions;
    const channel = this.#channel;
    const blob = this.#blob;
    blob.slot = entry.slot;
    blob.generation = entry.generation;
    const { offset, count, byteOffset } = entry;
    switch (entry.op) {
      case RING_OP.READ:
        return channel.tryReadNow(blob, this.#buffer(), offset, count, byteOffset);
      case RING_OP.WRITE:
        return channel.tryWriteNow(blob, this.#buffer(), offset, count, byteOffset);
      case RING_OP.READ_BYTES:
        return channel.tryReadBytesNow(blob, this.#buffer(), offset, count, byteOffset);
      case RING_OP.WRITE_BYTES:
        return channel.tryWriteBytesNow(blob, this.#buffer(), offset, count, byteOffset);
      default:
        return false;
    }
  }

  /** Begins the taken entry in promise form. */
  #start(): Promise<void> {
    const entry = this.#submissions;
    const channel = this.#channel;
    const { offset, count } = entry;
    const blob: BlobRef = { slot: entry.slot, generation: entry.generation };
    switch (entry.op) {
      case RING_OP.READ:
        return channel.read(blob, this.#buffer(), offset, count, entry.byteOffset);
      case RING_OP.WRITE:
        return channel.write(blob, this.#buffer(), offset, count, entry.byteOffset);
      case RING_OP.READ_BYTES:
        return channel.readBytes(blob, this.#buffer(), offset, count, entry.byteOffset);
      case RING_OP.WRITE_BYTES:
        return channel.writeBytes(blob, this.#buffer(), offset, count, entry.byteOffset);
      case RING_OP.READV:
        return channel.readv(blob, this.#buffers(), offset, count);
      case RING_OP.WRITEV:
        return channel.writev(blob, this.#buffers(), offset, count);
      case RING_OP.WRITE_ZEROES:
        return channel.writeZeroes(blob, offset, count);
      case RING_OP.UNMAP:
        return channel.unmap(blob, offset, count);
      default:
        throw new BlobstoreError('ENOTSUP', `a worker was asked for operation ${entry.op}, which it does not have`);
    }
  }

  #buffer(): Uint8Array {
    const { memory, byteOffset, byteLength } = this.#submissions;
    return this.#memories.view(memory, byteOffset + byteLength);
  }

  #buffers(): Uint8Array[] {
    const { memory, byteOffset, segments } = this.#submissions;
    const pool = this.#memories.view(memory, byteOffset).buffer;
    return readTable(pool, byteOffset, segments, (id, end) => this.#memories.view(id, end));
  }

  #follow(tag: number, request: Promise<void>): void {
    this.#underWay++;
    request.then(
      () => {
        this.#completions.succeed(tag);
        this.#leave();
      },
      (error: unknown) => {
        this.#completions.fail(tag, error);
        this.#leave();
      },
    );
  }

  readonly #tell = (): void => {
    this.#isTelling = false;
    this.#completions.ring();
  };

  /** A request in promise form has ended: schedules a turn if the server waits for that. */
  #leave(): void {
    if (!this.#isPrompt) this.#completions.ring();
    else if (!this.#isTelling) {
      this.#isTelling = true;
      setImmediate(this.#tell); // after the other answers of this turn of the event loop
    }
    if (this.#underWay-- === this.#promisesMax || (this.#isClosing && this.#underWay === 0)) this.#schedule();
  }
}
