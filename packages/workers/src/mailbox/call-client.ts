/** The side of a row's thread of calls to the metadata thread; see `call-port.ts`. */

import { BlobstoreError, type SharedStore, type Waitable } from '@blobyard/core';
import type { LongWorkOptions } from '../api/long-work.js';
import type { Answer, Given, MethodOf } from '../calls/envelopes.js';
import { FollowedCalls } from '../calls/followed-calls.js';
import type { Followed } from '../calls/service-events.js';
import { type Envelope, fromWire, notPosted } from '../threads/wire-error.js';
import { AnswerLoop, blockWhile } from './answer-wait.js';
import { CallPort, callChannelName, type ToMetadata, type ToRow } from './call-port.js';
import { Mailbox, REQUEST, ring } from './mailbox.js';
import type { MailboxClient } from './mailbox-client.js';

/** For long work that is called without anybody following it: by `block`, which cannot be. */
export const NOT_FOLLOWED: Followed = { call: 0, hasProgress: false };

/** Settles a call. */
interface Pending {
  resolve(answer: unknown): void;
  reject(error: unknown): void;
}

/** What is needed of the channel whose thread calls. */
export interface CallerNeeds {
  readonly shared: SharedStore;
  readonly mailbox: MailboxClient;
  readonly mailboxes: SharedArrayBuffer;
  readonly row: number;
  /** The store's, of its handle. */
  readonly name: string;
}

export class CallClient<Service> {
  readonly #needs: CallerNeeds;
  readonly #words: Int32Array;
  readonly #toldAt: number;
  readonly #port: CallPort<ToMetadata, ToRow>;
  readonly #answers: AnswerLoop;
  readonly #pending = new Map<number, Pending>();
  readonly #followed = new FollowedCalls({
    abort: (call) => this.#send({ kind: 'abort', call }),
    seen: (call, isRefused) => this.#send({ kind: 'seen', call, isRefused }),
  });
  /** Messages of before the metadata thread had joined; undefined since then. */
  #unsent: ToMetadata[] | undefined = [];
  #isJoining = false;
  #isClosed = false;
  #nextId = 1;

  constructor(needs: CallerNeeds) {
    const { shared, mailboxes, row, name } = needs;
    const mailbox = new Mailbox(mailboxes, row);
    this.#needs = needs;
    this.#words = mailbox.words;
    this.#toldAt = mailbox.toldAt;
    this.#port = new CallPort(callChannelName(name, row), this.#words, mailbox.postedAt, mailbox.toldAt);
    this.#answers = new AnswerLoop(shared, this.#words, mailbox.toldAt, {
      isWaiting: () => this.#pending.size > 0,
      take: () => this.#take(),
      fail: (error) => this.#failAll(error),
    });
  }

  /** Calls that have not been answered. */
  get underWay(): number {
    return this.#pending.size;
  }

  /**
   * A call of a method of the metadata thread's service, begun when it is waited for; as many at once as one likes. They are begun
   * there in the order in which they are waited for here. Fails with what the method throws, code, message and cause; EINVAL when
   * an argument cannot be posted; EIO or EBADF once the store has ended, whether the method has done its work or not.
   *
   * `promise` keeps no process alive. `block` stops the thread, and is EBUSY while long work of this thread goes on whose progress it
   * follows: what the call waits for may wait for this thread to see that.
   *
   * Before `block` the caller must see to it that nothing of this thread is inside a blob (`Channel.requireMayBlock`), but for methods
   * that wait for no blob: `stats`, `info`, `clones`, `create`, `grow`, `getSuperBlob`, `setSuperBlob`, `getXattr`, `getXattrText`,
   * `listXattrs`, `dump`. The others freeze a blob until all threads are out of it (`snapshot`, `resize`, `delete`, `inflate`, `decouple`,
   * `closeHandle`), or wait for their turn behind one that does.
   */
  call<Name extends MethodOf<Service>>(name: Name, ...given: Given<Service, Name>): Waitable<Answer<Service, Name>> {
    type Result = Answer<Service, Name>;
    return {
      promise: () => this.#promise(name, given) as Promise<Result>,
      block: () => this.#block(name, given) as Result,
    };
  }

  /** Runs a call of long work, in promise form, with what the metadata thread needs to know so that it can be followed, and ended. */
  follow<T>(options: LongWorkOptions, begin: (followed: Followed) => Promise<T>): Promise<T> {
    return this.#followed.follow(options, begin);
  }

  /** Throws EBUSY while long work goes on whose progress this thread follows: while it is stopped, that work waits for it. */
  requireUnwatched(): void {
    if (!this.#followed.areWatched) return;
    const reason = 'long work of this thread waits for it to see its progress';
    throw new BlobstoreError('EBUSY', `a synchronous call could wait for ever: ${reason}; use the promise form`);
  }

  /** Nothing can be called any more (EBADF); nothing may be under way. */
  close(): void {
    this.#isClosed = true;
    this.#port.close();
  }

  #promise(name: string, given: readonly unknown[]): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#begin(name, given, { resolve, reject });
      if (this.#unsent !== undefined && !this.#isJoining) {
        this.#isJoining = true;
        const joining = this.#needs.mailbox.request(REQUEST.JOIN).promise();
        joining.then(
          () => this.#joined(),
          (error: unknown) => this.#failAll(error),
        );
      }
      this.#answers.start();
    });
  }

  #block(name: string, given: readonly unknown[]): unknown {
    this.requireUnwatched();
    if (this.#unsent !== undefined) {
      this.#needs.mailbox.request(REQUEST.JOIN).block();
      this.#joined();
    }
    let answer: { readonly ok: unknown } | { readonly thrown: unknown } | undefined;
    const id = this.#begin(name, given, {
      resolve: (ok) => {
        answer = { ok };
      },
      reject: (thrown) => {
        answer = { thrown };
      },
    });
    try {
      for (;;) {
        const { received } = this.#port;
        this.#take();
        if (answer !== undefined) break;
        if (received === this.#port.received) blockWhile(this.#needs.shared, this.#words, this.#toldAt, received);
      }
    } finally {
      this.#pending.delete(id);
    }
    if ('thrown' in answer) throw answer.thrown;
    return answer.ok;
  }

  /** Sends a call. What cannot be sent fails. */
  #begin(name: string, given: readonly unknown[], pending: Pending): number {
    this.#needs.shared.requireAlive();
    if (this.#isClosed)
      throw new BlobstoreError('EBADF', 'this thread has detached from the store: attach it again first');
    const id = this.#nextId++;
    this.#pending.set(id, pending);
    try {
      this.#send({ kind: 'call', id, name, given });
    } catch (error) {
      this.#pending.delete(id);
      throw notPosted(error as Error);
    }
    return id;
  }

  #send(message: ToMetadata): void {
    if (this.#unsent !== undefined) {
      this.#unsent.push(structuredClone(message)); // as it is now, and if it can be posted at all
      return;
    }
    this.#port.post(message);
    ring(this.#words, this.#needs.row);
  }

  /** The metadata thread has its side of the messages. */
  #joined(): void {
    const unsent = this.#unsent;
    this.#unsent = undefined;
    for (const message of unsent ?? []) this.#send(message);
  }

  /** Takes the messages that are there. */
  #take(): void {
    for (const message of this.#port.take()) {
      if (message.kind === 'answer') this.#settle(message.id, message.envelope);
      else if (message.event.kind === 'progress') this.#followed.progressed(message.event.call, message.event.progress);
    }
  }

  #settle(id: number, envelope: Envelope<unknown>): void {
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    if ('ok' in envelope) pending?.resolve(envelope.ok);
    else pending?.reject(fromWire(envelope.error));
  }

  /** The store has ended. */
  #failAll(error: unknown): void {
    const pending = [...this.#pending.values()];
    this.#pending.clear();
    if (this.#unsent !== undefined) this.#unsent = [];
    for (const { reject } of pending) reject(error);
    this.#isJoining = false;
  }
}
