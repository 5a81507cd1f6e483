/**
 * The metadata thread's side of the mailboxes: it takes the requests of the rows' threads, executes them, and answers.
 * Insertions that are found together go to the engine together. The server also checks whether those threads are alive,
 * and takes back what a dead one had.
 */

import {
  type BlobCluster,
  type Blobstore,
  type DeviceCluster,
  type InlinePort,
  type InsertionOutcome,
  InvariantError,
  type MdPage,
  rowOfThread,
  run,
  runNowOrLater,
  type SharedStore,
  toBlobstoreError,
  type WantedInsertion,
} from '@blobyard/core';
import { Spin } from '../threads/spin.js';
import { Count } from './count.js';
import { writeError } from './error-text.js';
import { HEAD, Mailbox, REQUEST, SLOT, STATE, TEXT_BYTES_MAX, TEXT_TOO_LONG } from './mailbox.js';
import { type Answer, type MailboxHooks, Requests } from './requests.js';
import type { Row } from './row.js';
import { RowClient } from './row-client.js';
import { ThreadWatch } from './thread-watch.js';

/** A request that has been taken. */
interface Taken {
  readonly row: number;
  readonly slot: number;
}

const encoder = new TextEncoder();
/** The requests that a channel makes while it is inside a blob. They never wait until others have left a blob. */
const INSIDE: readonly number[] = [REQUEST.INSERT, REQUEST.RAISE_HIGH_WATER, REQUEST.DISCARD, REQUEST.RECLAIM];

/** One for each shared store. Metadata thread. */
export class MailboxServer {
  readonly #shared: SharedStore;
  readonly #metadata: InlinePort;
  readonly #buffer: SharedArrayBuffer;
  readonly #words: Int32Array;
  readonly #hooks: MailboxHooks;
  readonly #name: string;
  readonly #rows = new Map<number, Row>();
  readonly #watch: ThreadWatch;
  readonly #requests: Requests;
  readonly #spin = new Spin();
  #isStopped = false;
  #stopping: (() => void) | undefined;

  /** @param name - the store's name, part of the names of the rows' broadcast channels */
  constructor(blobstore: Blobstore, mailboxes: SharedArrayBuffer, name: string, hooks: MailboxHooks) {
    this.#shared = blobstore.shared;
    this.#metadata = blobstore.metadata;
    this.#buffer = mailboxes;
    this.#words = new Int32Array(mailboxes, 0, mailboxes.byteLength / 4); // explicit length: faster to access
    this.#hooks = hooks;
    this.#name = name;
    this.#requests = new Requests(this.#shared, this.#metadata, name, hooks);
    this.#watch = new ThreadWatch(this.#shared, (row) => void this.endDead(row).catch(hooks.onBug));
    this.#shared.usedLock.onLongWait = (threadId) => {
      const row = rowOfThread(threadId); // the metadata thread itself waits for the lock, whose owner may be dead
      if (row >= 0 && this.#watch.isDead(row)) this.#metadata.freeUsedLock(row);
    };
  }

  /** Serves until `stop`. */
  async run(): Promise<void> {
    this.#watch.start();
    while (!this.#isStopped) {
      const bell = Atomics.load(this.#words, HEAD.BELL);
      if (this.#serve()) {
        await new Promise((resolve) => setImmediate(resolve)); // so that the work that the requests have begun goes on
        continue;
      }
      if (this.#spin.until(this.#hasReady)) continue;
      Atomics.store(this.#words, HEAD.ASLEEP, 1);
      if (!this.#hasReady() && !this.#isStopped) await this.#sleep(bell);
      Atomics.store(this.#words, HEAD.ASLEEP, 0);
    }
  }

  /** Ends `run`. Requests under way go on; later ones are not taken. */
  stop(): void {
    this.#isStopped = true;
    this.#watch.stop();
    for (const { client } of this.#rows.values()) client?.end();
    this.#stopping?.();
    this.#wake();
  }

  /**
   * Takes back the blobs that rows' threads have open, and waits for their requests and for the cleanup after dead
   * threads: the store is about to close. Blobs that cannot be written stay dirty in the store. It writes them when it
   * closes; if that fails, closing the store fails.
   */
  async evictAll(): Promise<void> {
    this.unpace();
    const rows = () => [...this.#rows.values()];
    for (const row of rows()) await this.#dropAll(row);
    await Promise.all(rows().map((row) => row.underWay.whenZero()));
    await Promise.allSettled(rows().map((row) => row.ending));
    for (const row of rows()) await this.#dropAll(row); // blobs that were being opened before, or could not be closed
  }

  /**
   * Long work no longer waits for rows' threads to see its progress: they may be blocked, and the store is about to
   * close.
   */
  unpace(): void {
    for (const { client } of this.#rows.values()) client?.unpace();
  }

  /**
   * Takes back all that a dead thread had: the one that has the row. A call while another is under way joins that one.
   */
  endDead(row: number): Promise<void> {
    const known = this.#row(row);
    known.ending ??= this.#endDead(row, known).finally(() => {
      known.ending = undefined;
    });
    return known.ending;
  }

  async #sleep(bell: number): Promise<void> {
    const waiting = Atomics.waitAsync(this.#words, HEAD.BELL, bell);
    if (!waiting.async) return;
    await Promise.race([
      waiting.value,
      new Promise<void>((resolve) => {
        this.#stopping = resolve;
      }),
    ]);
  }

  #wake(): void {
    Atomics.add(this.#words, HEAD.BELL, 1);
    Atomics.notify(this.#words, HEAD.BELL);
  }

  readonly #hasReady = (): boolean => {
    for (let word = 0; word < HEAD.READY_WORDS; word++) {
      if (Atomics.load(this.#words, HEAD.READY + word) !== 0) return true;
    }
    return false;
  };

  /** Takes the requests and calls that are there. Returns whether there were any. */
  #serve(): boolean {
    let hasServed = false;
    const insertions = new Map<number, { taken: Taken; wanted: WantedInsertion }[]>();
    for (let word = 0; word < HEAD.READY_WORDS; word++) {
      if (Atomics.load(this.#words, HEAD.READY + word) === 0) continue;
      hasServed = true;
      const ready = Atomics.exchange(this.#words, HEAD.READY + word, 0);
      for (let bit = 0; bit < 32; bit++) {
        if ((ready & (1 << bit)) !== 0) this.#serveRow(word * 32 + bit, insertions);
      }
    }
    if (!hasServed) return false;
    for (const [slot, together] of insertions) this.#insert(slot, together);
    this.#metadata.drained();
    return true;
  }

  #serveRow(row: number, insertions: Map<number, { taken: Taken; wanted: WantedInsertion }[]>): void {
    const known = this.#row(row);
    if (known.ending !== undefined) return;
    const { mailbox } = known;
    const submitted = Atomics.load(this.#words, mailbox.submittedAt);
    for (; known.taken !== submitted; known.taken = (known.taken + 1) | 0) {
      const taken: Taken = { row, slot: this.#words[mailbox.ringAt(known.taken)] };
      const op = this.#words[mailbox.slotAt(taken.slot) + SLOT.OP];
      known.underWay.add();
      if (INSIDE.includes(op)) known.inside.add();
      if (op !== REQUEST.INSERT) {
        void this.#answerOther(taken, known, op);
        continue;
      }
      const [slot, index, cluster, extentPage, entry] = this.#arguments(taken);
      const wanted: WantedInsertion = {
        index: index as BlobCluster,
        claimed: { cluster: cluster as DeviceCluster, extentPage: extentPage as MdPage, entry },
      };
      const together = insertions.get(slot);
      if (together) together.push({ taken, wanted });
      else insertions.set(slot, [{ taken, wanted }]);
    }
    known.client?.take();
  }

  /**
   * Executes insertions into one blob. After an outcome other than 'exists', inserted or failed, the claim is no longer
   * the row's. After 'exists', the blob had the cluster already, and the row still has its claim.
   */
  #insert(slot: number, together: readonly { taken: Taken; wanted: WantedInsertion }[]): void {
    // Once for each row, when all its answers are there: a thread that is woken by the first would find only that one.
    const announce = () => {
      for (const row of new Set(together.map(({ taken }) => taken.row))) this.#announce(row);
    };
    const finish = (outcomes: readonly InsertionOutcome[]) => {
      together.forEach(({ taken, wanted }, at) => {
        const outcome = outcomes[at];
        if (outcome !== 'exists') this.#requests.forget(taken.row, wanted.claimed);
        if (typeof outcome === 'object') this.#fail(taken, outcome.error);
        else this.#answer(taken, [outcome === 'inserted' ? 1 : 0]);
      });
      announce();
    };
    const steps = () =>
      this.#metadata.insertClusters(
        slot,
        together.map(({ wanted }) => wanted),
      );
    const fail = (error: unknown) => {
      for (const { taken } of together) this.#fail(taken, error);
      announce();
    };
    try {
      const outcomes = runNowOrLater(steps());
      if (outcomes instanceof Promise) void outcomes.then(finish, fail);
      else finish(outcomes);
    } catch (error) {
      fail(error);
    }
  }

  async #answerOther(taken: Taken, row: Row, op: number): Promise<void> {
    try {
      const client = () => this.#client(taken.row);
      this.#answer(taken, await this.#requests.execute({ number: taken.row, row, client }, op, this.#arguments(taken)));
    } catch (error) {
      this.#fail(taken, error);
    }
    this.#announce(taken.row);
  }

  async #dropAll({ client }: Row): Promise<void> {
    await client?.service.dropAll();
  }

  #arguments({ row, slot }: Taken): number[] {
    const at = this.#row(row).mailbox.slotAt(slot) + SLOT.ARGUMENTS;
    return Array.from({ length: SLOT.ARGUMENTS_MAX }, (_, index) => this.#words[at + index] >>> 0);
  }

  /** Writes the text of an answer that is no error; or `TEXT_TOO_LONG` if it does not fit. */
  #writeText({ row, slot }: Taken, text: string): void {
    const { mailbox } = this.#row(row);
    const bytes = encoder.encode(text);
    const fits = bytes.length <= TEXT_BYTES_MAX;
    if (fits) mailbox.text(slot).set(bytes);
    this.#words[mailbox.slotAt(slot) + SLOT.TEXT_BYTES] = fits ? bytes.length : TEXT_TOO_LONG;
  }

  #answer(taken: Taken, [first, second = 0, third = 0, text]: Answer): void {
    if (text !== undefined) this.#writeText(taken, text);
    const at = this.#row(taken.row).mailbox.slotAt(taken.slot);
    this.#words[at + SLOT.RESULTS] = first;
    this.#words[at + SLOT.RESULTS + 1] = second;
    this.#words[at + SLOT.RESULTS + 2] = third;
    this.#words[at + SLOT.ERRNO] = 0;
    this.#done(taken);
  }

  #fail(taken: Taken, error: unknown): void {
    if (error instanceof InvariantError) this.#hooks.onBug(error);
    const { mailbox } = this.#row(taken.row);
    const at = mailbox.slotAt(taken.slot);
    const failure = toBlobstoreError(error, 'the metadata thread');
    this.#words[at + SLOT.TEXT_BYTES] = writeError(failure, mailbox.text(taken.slot).subarray(0, TEXT_BYTES_MAX));
    this.#words[at + SLOT.ERRNO] = -failure.errno;
    this.#done(taken);
  }

  #done({ row, slot }: Taken): void {
    const known = this.#row(row);
    const state = known.mailbox.slotAt(slot) + SLOT.STATE;
    const isInside = INSIDE.includes(this.#words[known.mailbox.slotAt(slot) + SLOT.OP]);
    Atomics.store(this.#words, state, STATE.DONE);
    Atomics.notify(this.#words, state);
    if (isInside) known.inside.remove();
    known.underWay.remove();
  }

  /** Announces answers to a row's thread: to promise forms that wait for them, and to a call that waits for a slot. */
  #announce(row: number): void {
    const { doneAt } = this.#row(row).mailbox;
    Atomics.add(this.#words, doneAt, 1);
    Atomics.notify(this.#words, doneAt);
  }

  #row(row: number): Row {
    let known = this.#rows.get(row);
    if (known === undefined) {
      const mailbox = new Mailbox(this.#buffer, row);
      known = { mailbox, taken: 0, underWay: new Count(), inside: new Count(), client: undefined, ending: undefined };
      this.#rows.set(row, known);
    }
    return known;
  }

  #client(row: number): RowClient {
    const known = this.#row(row);
    const { mailbox, underWay } = known;
    const { serviceFor, onBug } = this.#hooks;
    known.client ??= new RowClient({ row, mailbox, name: this.#name, underWay, serviceFor, onBug });
    return known.client;
  }

  /**
   * In this order:
   * - The lock that the dead thread may hold is freed.
   * - The requests that it made from inside blobs end, such as insertions: no blob may be frozen in the middle of one.
   * - The dead thread leaves the blobs that it was inside of; freezers that waited for that go on.
   * - Its other requests end.
   * - Its remaining claims are given back.
   * - Its blobs are closed. Those that cannot be written stay dirty in the store.
   * - The row is released; another thread may take it.
   */
  async #endDead(row: number, known: Row): Promise<void> {
    this.#wake(); // it may have died when it was about to ring: then nobody else does, since `ASLEEP` is 0
    this.#metadata.freeUsedLock(row);
    known.client?.abort();
    await known.inside.whenZero();
    this.#metadata.leaveForDead(row);
    await known.underWay.whenZero();
    known.taken = Atomics.load(this.#words, known.mailbox.submittedAt); // its last requests are not begun
    await run(this.#metadata.takeBackClaims(row));
    await this.#dropAll(known);
    known.client?.end();
    known.client = undefined;
    known.mailbox.reset();
    this.#shared.channels.release(row);
  }
}
