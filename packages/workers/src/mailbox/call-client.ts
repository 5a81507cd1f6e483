/** Calls to the metadata thread, on the side of a row's thread; see `call-port.ts`. */

import { BlobstoreError, type SharedStore, type Waitable } from '@blobyard/core';
import type { LongWorkOptions } from '../api/long-work.js';
import type { Answer, Given, MethodOf } from '../calls/envelopes.js';
import { FollowedCalls } from '../calls/followed-calls.js';
import type { Followed } from '../calls/service-events.js';
import { Spin } from '../threads/spin.js';
import { type Envelope, fromWire, notPosted } from '../threads/wire-error.js';
import { AnswerLoop, blockWhile } from './answer-wait.js';
import { CallPort, callChannelName, type ToMetadata, type ToRow } from './call-port.js';
import { Mailbox, REQUEST, ring } from './mailbox.js';
import type { MailboxClient } from './mailbox-client.js';

/** For long work in a blocking call (`block`): its progress cannot be followed. */
export const NOT_FOLLOWED: Followed = { call: 0, hasProgress: false };

/** Settles a call. */
interface Pending {
  resolve(answer: unknown): void;
  reject(error: unknown): void;
}

/** What a `CallClient` needs of the channel whose thread makes the calls. */
export interface CallerNeeds {
  readonly shared: SharedStore;
  readonly mailbox: MailboxClient;
  readonly mailboxes: SharedArrayBuffer;
  readonly row: number;
  /** The name in the store's handle. */
  readonly name: string;
}

/** The calls of one row's thread. Only that thread uses it. */
export class CallClient<Service> {
  readonly #needs: CallerNeeds;
  readonly #words: Int32Array;
  readonly #toldAt: number;
  readonly #port: CallPort<ToMetadata, ToRow>;
  readonly #answers: AnswerLoop;
  readonly #spin = new Spin();
  readonly #pending = new Map<number, Pending>();
  readonly #followed = new FollowedCalls({
    abort: (call) => this.#send({ kind: 'abort', call }),
    seen: (call, isRefused) => this.#send({ kind: 'seen', call, isRefused }),
  });
  /** Messages from before the metadata thread has joined; undefined after that. */
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

  /** The number of calls that have not been answered. */
  get underWay(): number {
    return this.#pending.size;
  }

  /**
   * A call of a method of the metadata thread's service. It is sent when `promise` or `block` is called. Any number of
   * calls can be under way; the metadata thread begins them in the order in which they were sent. Fails with what the
   * method throws (code, message and cause); with EINVAL when an argument cannot be posted; with EIO or EBADF once the
   * store has ended, and then the method may have done its work or not.
   *
   * `promise` does not keep the process alive. `block` blocks the thread. It is EBUSY while this thread follows the
   * progress of long work: the call may have to wait for that work, and that work waits until this thread has seen its
   * progress.
   *
   * Before `block`, the caller must ensure that no operation of this thread is inside a blob
   * (`Channel.requireMayBlock`). This is not needed for methods that wait for no blob: `stats`, `info`, `clones`,
   * `create`, `grow`, `getSuperBlob`, `setSuperBlob`, `getXattr`, `getXattrText`, `listXattrs`, `dump`. The other
   * methods freeze a blob until all threads have left it (`snapshot`, `resize`, `delete`, `inflate`, `decouple`,
   * `closeHandle`), or wait for their turn behind a method that does.
   */
  call<Name extends MethodOf<Service>>(name: Name, ...given: Given<Service, Name>): Waitable<Answer<Service, Name>> {
    type Result = Answer<Service, Name>;
    return {
      promise: () => this.#promise(name, given) as Promise<Result>,
      block: () => this.#block(name, given) as Result,
    };
  }

  /** Runs a call of long work, in promise form; see `FollowedCalls.follow`. */
  follow<T>(options: LongWorkOptions, begin: (followed: Followed) => Promise<T>): Promise<T> {
    return this.#followed.follow(options, begin);
  }

  /**
   * Throws EBUSY while this thread follows the progress of long work. That work waits until the thread has seen its
   * progress. A synchronous call that waited for the work would be a deadlock.
   */
  requireUnwatched(): void {
    if (!this.#followed.areWatched) return;
    const reason = 'long work that this thread has begun waits until the thread has seen its progress';
    throw new BlobstoreError('EBUSY', `a synchronous call could wait for ever: ${reason}; use the promise form`);
  }

  /** Closes this side of the messages. No call may be under way; later calls are EBADF. */
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
        if (received === this.#port.received) {
          blockWhile(this.#needs.shared, this.#words, this.#toldAt, received, this.#spin);
        }
      }
    } finally {
      this.#pending.delete(id);
    }
    if ('thrown' in answer) throw answer.thrown;
    return answer.ok;
  }

  /** Sends a call. Throws when it cannot be sent. */
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
      this.#unsent.push(structuredClone(message)); // a copy of the current values; throws if they cannot be posted
      return;
    }
    this.#port.post(message);
    ring(this.#words, this.#needs.row);
  }

  /** The metadata thread has opened its side of the messages: sends the messages that were kept until now. */
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

  /** The store has ended: rejects all calls. */
  #failAll(error: unknown): void {
    const pending = [...this.#pending.values()];
    this.#pending.clear();
    if (this.#unsent !== undefined) this.#unsent = [];
    for (const { reject } of pending) reject(error);
    this.#isJoining = false;
  }
}
