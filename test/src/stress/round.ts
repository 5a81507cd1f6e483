/**
 * One round: a store is opened, and threads and metadata sides work on it for a while. Then everything is checked: in
 * the open store, in a copy of the device as a killed process would leave it, and in the store after it was closed.
 */

import { Worker } from 'node:worker_threads';
import { type BlockDevice, run } from '@blobyard/core';
import { openStore, type Store, type StoreHandle } from '@blobyard/workers';
import { Random } from '../random.js';
import { Actor, type ActorReport, textOf } from './actor.js';
import type { AttachedThreadData } from './attached-thread.js';
import { checkRound } from './check.js';
import type { Behind } from './history.js';
import { findLeftOver, rowsTaken } from './left-over.js';
import type { Medium, MediumKind } from './medium.js';
import { logged, NO_BLOB, THE_STORE } from './metadata-log.js';
import { MetadataSide, type RoundBlobs, readContents, type TrackedBlob } from './metadata-side.js';
import { dataSchedule, metadataSchedule, type Weights } from './schedule.js';
import { allocateLog, BLOB_STATE, type LogBuffers, SharedLog } from './shared-log.js';
import type { BlockContent } from './stamp.js';

export type StressMode = 'attached' | 'pool' | 'mixed';

export interface RoundOptions {
  readonly seed: number;
  readonly round: number;
  readonly milliseconds: number;
  readonly threads: number;
  readonly mode: StressMode;
  readonly durability: 'power-loss' | 'process-crash';
  /** True: attached threads are killed from time to time. */
  readonly kill: boolean;
  readonly kind: MediumKind;
  readonly medium: Medium;
  readonly deviceBytesMax: number;
  readonly clusterBytes: number;
  /** The memory of the round's log. Default: new memory. */
  readonly log?: LogBuffers;
  /** Default: the weights of a stress run. */
  readonly weights?: Weights;
  readonly blobsAtOnce?: number;
  /** The number of operations on metadata at once, from 1 to 4. Default: 2. */
  readonly metadataSides?: number;
}

/** A blob that goes from one round to the next one. */
export interface CarriedBlob {
  readonly id: bigint;
  readonly name: string;
  readonly contents: readonly BlockContent[];
  readonly isSnapshot: boolean;
  readonly isOverZeroes: boolean;
  readonly behind: Behind;
}

export interface RoundResult {
  readonly blobs: readonly CarriedBlob[];
  /** The numbers with which the writers' tokens go on in the next round. */
  readonly sequences: readonly number[];
  readonly findings: readonly string[];
  /** How often each operation was executed. */
  readonly counts: Record<string, number>;
}

/** The first numbers of writers that are not attached threads. */
const FIRST_LOCAL_WRITER = 8;
const FIRST_METADATA_WRITER = 12;
const METADATA_SIDES = 2;
export const WRITERS = 16;
/** The longest time in milliseconds until a thread must have ended after the round has stopped. */
const PATIENCE_MS = 30_000;
const LOG = { operationsMax: 1 << 16, readsMax: 1 << 17 };

export class Round {
  readonly #options: RoundOptions;
  readonly #log: SharedLog;
  readonly #blobs: RoundBlobs = {
    blobs: [],
    snapshots: [],
    firstSnapshots: new Map(),
    events: [],
    findings: [],
    done: {},
    refused: {},
  };
  readonly #counts: Record<string, number> = {};
  /** The attached threads, by the number of the writer. */
  readonly #workers = new Map<number, { worker: Worker; ended: Promise<void>; isKilled: boolean }>();

  constructor(options: RoundOptions, sequences: readonly number[]) {
    this.#options = options;
    this.#log = new SharedLog(options.log ?? allocateLog(LOG));
    for (let writer = 0; writer < WRITERS; writer++) this.#log.setFirstSequence(writer, sequences[writer] ?? 0);
  }

  /** The blobs of the round, and what was done to them. */
  get blobs(): Readonly<RoundBlobs> {
    return this.#blobs;
  }

  /** @param carried - the blobs that the store has */
  async run(carried: readonly CarriedBlob[]): Promise<RoundResult> {
    const { mode, threads, durability, medium, kind } = this.#options;
    const ioThreads = mode === 'attached' ? 0 : mode === 'pool' ? threads : Math.max(1, threads >> 1);
    const store = await openStore({ device: medium.given, threads: ioThreads, durability });
    for (const [index, blob] of carried.entries()) this.#publish(index, blob);
    if (ioThreads > 0 && kind !== 'async') await this.#makeSyncChannel(store);
    const handle = store.share();
    const rows = rowsTaken(handle);
    const finished = await this.#work(store, handle);
    const { findings } = this.#blobs;
    if (!finished) return this.#result([]);
    findings.push(...(await findLeftOver(store, handle, rows)));
    const live = this.#blobs.blobs.filter(({ isDeleted }) => !isDeleted);
    const contents = await this.#readAll(store, live, findings);
    findings.push(...checkRound(this.#log, this.#blobs, contents));
    await this.#checkCopy(store, contents);
    await this.#logged('close', () => store.close());
    await this.#checkDevice('the store that was closed', medium.device, contents);
    const { firstSnapshots } = this.#blobs;
    return this.#result(
      live.map((tracked) => ({
        id: tracked.id,
        name: tracked.name,
        contents: contents.get(tracked.index) ?? [],
        isSnapshot: tracked.truth !== undefined,
        behind: tracked.base.behind,
        isOverZeroes: tracked.base.isOverZeroes && !firstSnapshots.has(tracked.index),
      })),
    );
  }

  #result(blobs: CarriedBlob[]): RoundResult {
    const { findings, done, refused } = this.#blobs;
    addAll(this.#counts, done);
    addAll(this.#counts, refused);
    const sequences = Array.from({ length: WRITERS }, (_, writer) => this.#log.nextSequence(writer));
    return { blobs, sequences, findings, counts: this.#counts };
  }

  #logged(kind: 'flush' | 'close', operation: () => Promise<void>): Promise<void> {
    return logged(this.#log, this.#blobs.events, { kind, blob: THE_STORE }, operation);
  }

  /** Makes a first synchronous call, which creates the channel for such calls, and thus takes a row. */
  async #makeSyncChannel(store: Store): Promise<void> {
    const name = 'for the first Sync call';
    const { events } = this.#blobs;
    const create = () => store.create({ name, sizeBytes: 1, thin: true });
    const blob = await logged(this.#log, events, { kind: 'create', blob: NO_BLOB, name }, create);
    blob.readSync(0, 1);
    await blob.close();
    await logged(this.#log, events, { kind: 'delete', blob: NO_BLOB }, () => store.delete(blob.id));
  }

  #publish(index: number, { id, name, contents, isSnapshot, isOverZeroes, behind }: CarriedBlob): void {
    const blob = this.#log.addBlob();
    const truth = isSnapshot ? contents : undefined;
    const base = { contents, isOverZeroes, behind };
    this.#blobs.blobs.push({ index, id, name, base, truth, of: undefined, isDeleted: false });
    truth?.forEach(({ signature }, block) => {
      this.#log.setTruth(index, block, signature);
    });
    if (blob !== undefined) {
      this.#log.publish(index, id, contents.length, isSnapshot ? BLOB_STATE.SNAPSHOT : BLOB_STATE.WRITABLE);
    }
  }

  /** Lets all sides work until the time is over. Returns false if one of them does not end. */
  async #work(store: Store, handle: StoreHandle): Promise<boolean> {
    const { mode, threads, kill, milliseconds, metadataSides = METADATA_SIDES } = this.#options;
    const attachedCount = mode === 'pool' ? 0 : threads;
    for (let writer = 0; writer < attachedCount; writer++) this.#startThread(handle, writer, 0);
    await this.#allArrived(attachedCount);
    const localCount = mode === 'attached' ? 1 : 2;
    const sides = [
      ...Array.from({ length: localCount }, (_, index) => this.#runLocal(store, FIRST_LOCAL_WRITER + index)),
      ...Array.from({ length: metadataSides }, (_, index) => this.#runMetadata(store, FIRST_METADATA_WRITER + index)),
    ];
    if (kill && attachedCount > 0) sides.push(this.#killThreads(handle, attachedCount));
    const deadline = Date.now() + milliseconds;
    // The round also ends when a log is full.
    while (Date.now() < deadline && !this.#log.isStopped) await new Promise((resolve) => setTimeout(resolve, 5));
    this.#log.stop();
    const all = Promise.all([...sides, ...[...this.#workers.values()].map(({ ended }) => ended)]);
    let timer: NodeJS.Timeout | undefined;
    const isPatient = await Promise.race([
      all.then(() => true),
      new Promise<false>((resolve) => {
        timer = setTimeout(() => resolve(false), PATIENCE_MS);
      }),
    ]);
    clearTimeout(timer);
    if (isPatient) return true;
    this.#blobs.findings.push('somebody does not come to an end', ...(await findLeftOver(store, handle, 0)));
    for (const { worker } of this.#workers.values()) await worker.terminate();
    return false;
  }

  /** Waits until all threads have arrived. Stops the round if that takes too long. */
  async #allArrived(count: number): Promise<void> {
    const timer = setTimeout(() => this.#log.stop(), PATIENCE_MS);
    await this.#log.allArrived(count);
    clearTimeout(timer);
    if (this.#log.isStopped) this.#blobs.findings.push('not all threads have begun to work');
  }

  #startThread(handle: StoreHandle, writer: number, incarnation: number): void {
    const { seed, round, kind, weights } = this.#options;
    const name = `round ${round} thread ${writer} life ${incarnation}`;
    const leavesAbruptly = new Random(seed, `${name} end`).below(3) === 0;
    const data: AttachedThreadData = {
      handle,
      log: this.#log.buffers,
      writer,
      seed,
      name,
      weights: weights?.data,
      together: this.#options.threads,
      leavesAbruptly,
      hasSync: kind !== 'async',
    };
    const worker = new Worker(new URL('../../dist/stress/attached-thread.js', import.meta.url), { workerData: data });
    const life = { worker, isKilled: false, ended: Promise.resolve() };
    let hasReported = false;
    worker.on('message', (report: ActorReport) => {
      hasReported = true;
      this.#addReport(report);
    });
    worker.on('error', (error) => this.#blobs.findings.push(`thread ${writer} failed: ${textOf(error)}`));
    life.ended = new Promise((resolve) => {
      worker.once('exit', () => {
        if (!hasReported && !life.isKilled) this.#blobs.findings.push(`thread ${writer} ended without a report`);
        const killed = this.#log.endAllOf(writer);
        this.#count('changes cut short', killed);
        resolve();
      });
    });
    this.#workers.set(writer, life);
  }

  async #runLocal(store: Store, writer: number): Promise<void> {
    const { seed, round, mode, kind, weights } = this.#options;
    const hasDeviceMemory = writer % 2 === 0;
    const buffers: Uint8Array[] = [];
    const actor = new Actor({
      log: this.#log,
      writer,
      schedule: dataSchedule(seed, `round ${round} local ${writer}`, weights?.data),
      open: (id) => store.open(id),
      allocate: (bytes) => {
        if (!hasDeviceMemory) return new Uint8Array(bytes);
        const buffer = store.allocate(bytes);
        buffers.push(buffer);
        return buffer;
      },
      isStoreThread: mode === 'attached',
      hasSync: kind !== 'async',
      othersUnderWay: () => true,
    });
    try {
      this.#addReport(await actor.run());
      for (const buffer of buffers) store.release(buffer);
    } catch (error) {
      this.#blobs.findings.push(`writer ${writer} failed: ${textOf(error)}`);
    }
  }

  async #runMetadata(store: Store, writer: number): Promise<void> {
    const { seed, round, medium, deviceBytesMax, clusterBytes, weights, blobsAtOnce } = this.#options;
    const schedule = metadataSchedule(seed, `round ${round} metadata ${writer}`, weights?.metadata);
    const { device } = medium;
    const side = new MetadataSide({
      ...{ log: this.#log, writer, store, device, deviceBytesMax, clusterBytes, blobsAtOnce },
      prefix: String(round),
      round: this.#blobs,
      schedule,
    });
    try {
      await side.run();
    } catch (error) {
      this.#blobs.findings.push(`metadata side ${writer} failed: ${textOf(error)}`);
    }
  }

  /** Again and again terminates a thread at a random moment, and starts another one in its place. */
  async #killThreads(handle: StoreHandle, count: number): Promise<void> {
    const { seed, round } = this.#options;
    const random = new Random(seed, `round ${round} killer`);
    for (let incarnation = 1; !this.#log.isStopped; incarnation++) {
      await new Promise((resolve) => setTimeout(resolve, 50 + random.below(300)));
      if (this.#log.isStopped) return;
      const writer = random.below(count);
      const life = this.#workers.get(writer);
      if (life === undefined) continue;
      life.isKilled = true;
      await life.worker.terminate();
      await life.ended;
      this.#count('threads killed', 1);
      if (!this.#log.isStopped) this.#startThread(handle, writer, incarnation);
    }
  }

  async #readAll(
    store: Store,
    live: readonly TrackedBlob[],
    findings: string[],
  ): Promise<ReadonlyMap<number, readonly BlockContent[]>> {
    const contents = new Map<number, readonly BlockContent[]>();
    for (const { id, index } of live) {
      try {
        const blob = await store.open(id);
        contents.set(index, await readContents(blob));
        await blob.close();
      } catch (error) {
        findings.push(`blob ${index} (${id}) cannot be read: ${textOf(error)}`);
      }
    }
    return contents;
  }

  /** Checks what a killed process would leave: with `process-crash` all, otherwise all that was flushed. */
  async #checkCopy(store: Store, contents: ReadonlyMap<number, readonly BlockContent[]>): Promise<void> {
    const { durability, medium } = this.#options;
    if (durability === 'power-loss') await this.#logged('flush', () => store.flush());
    const copy = medium.copy();
    try {
      await this.#checkDevice('the store after a crash', copy, contents);
    } finally {
      await copy.close();
    }
  }

  /** Opens the store of a device on this thread, audits it, and compares every blob. */
  async #checkDevice(
    what: string,
    device: BlockDevice,
    expected: ReadonlyMap<number, readonly BlockContent[]>,
  ): Promise<void> {
    const findings: string[] = [];
    try {
      const store = await openStore({ device, durability: this.#options.durability });
      const { blobstore } = store.engine;
      blobstore.verify();
      await run(blobstore.audit());
      const live = this.#blobs.blobs.filter(({ isDeleted }) => !isDeleted);
      const listed = await store.blobs();
      const ids = (list: readonly { id: bigint }[]) =>
        list
          .map(({ id }) => String(id))
          .sort()
          .join();
      if (ids(listed) !== ids(live)) findings.push(`it has the blobs ${ids(listed)}, expected ${ids(live)}`);
      const allocated = listed.reduce((sum, { allocatedBytes }) => sum + allocatedBytes, 0);
      const { freeBytes, totalBytes } = await store.stats();
      if (allocated + freeBytes !== totalBytes) {
        findings.push(`blobs have ${allocated} bytes, ${freeBytes} are free, and there are ${totalBytes}`);
      }
      const found = await this.#readAll(store, live, findings);
      for (const [index, contents] of expected) {
        const there = found.get(index) ?? [];
        const at = contents.findIndex(({ signature }, block) => there[block]?.signature !== signature);
        if (at < 0 && there.length === contents.length) continue;
        const text = `blob ${index}, block ${at}: found ${there[at]?.signature}, expected ${contents[at]?.signature}`;
        findings.push(`${text}; it has ${there.length} blocks, expected ${contents.length}`);
      }
      await store.close();
    } catch (error) {
      findings.push(textOf(error));
    }
    this.#blobs.findings.push(...findings.map((finding) => `${what}: ${finding}`));
  }

  #addReport({ operations, blocks, refused, findings }: ActorReport): void {
    this.#count('operations', operations);
    this.#count('blocks', blocks);
    addAll(this.#counts, refused);
    this.#blobs.findings.push(...findings);
  }

  #count(what: string, count: number): void {
    addAll(this.#counts, { [what]: count });
  }
}

export function addAll(sum: Record<string, number>, counts: Readonly<Record<string, number>>): void {
  for (const [what, count] of Object.entries(counts)) sum[what] = (sum[what] ?? 0) + count;
}
