/**
 * Calls of methods, from threads that have a row of the channel table to the metadata thread. Messages of any size are
 * posted, because shared memory of a fixed size cannot hold them. The row's mailbox counts them, so that a thread finds
 * them without its event loop. A row has two sides, R (its thread) and M (the metadata thread). Each side has a
 * broadcast channel of the same name; only broadcast channels can be opened by name. When `postMessage` returns, the
 * message is in the queue of the other side, and in no other queue.
 *
 * | word or message | written by | read by |
 * |---|---|---|
 * | `POSTED` | R, after each `ToMetadata` | M, which takes as many messages as were counted |
 * | `TOLD` | M, after each `ToRow` | R, which takes as many messages as were counted; it sleeps on this word |
 * | `ToMetadata` | R | M: a call is answered once, `seen` and `abort` not at all |
 * | `ToRow` | M | R: an answer to the call with its number; progress |
 *
 * *Joining.* A message that is posted before M has a channel of the row's name is lost. So R first asks M to open one,
 * by a request in R's mailbox (`JOIN`), and keeps its messages until that request is answered.
 *
 * *No call is lost.* R posts (r1), counts (r2), sets its ready bit (r3), and wakes M as for any request. M takes all
 * ready bits (m1), reads the count (m2), takes messages (m3). If r3 comes before m1, so do r1 and r2, and M finds the
 * message. Otherwise the bit is still set when M checks the next time, and M does not sleep while a bit is set
 * (`mailbox.ts`).
 *
 * *No answer is lost.* M posts (a1), counts (a2), notifies (a3). R reads the count (c1), takes messages (c2), sleeps
 * while the count has the value of c1 (c3). If a2 comes before c1, R finds the answer at c2. Otherwise a2 changes the
 * word, and c3 does not sleep, or is woken.
 *
 * *The event loop.* A channel is read like a port, but if the event loop turns first, it delivers messages there.
 * Messages that were delivered so are kept, in order, and taken before those that are still in the queue.
 *
 * *No message is taken twice.* Taking a message removes it. Each side takes as many as were counted. R forgets a call
 * when it has the answer.
 *
 * *Reuse of rows.* M ends all calls of a row before it releases the row of a dead thread, and before it answers
 * `LEAVE`. Then it closes its channel; messages that a dead thread posted and M has not taken are dropped with it. A
 * new thread of the row begins with the counts as they are, and with an empty queue.
 *
 * *No call holds a slot of the mailbox.* A call can wait until a blob is frozen, and so until the calling thread has
 * left that blob. Operations of that thread inside the blob need slots.
 */

import { BroadcastChannel, type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import { assert } from '@blobyard/core';
import type { ServiceEvent } from '../calls/service-events.js';
import type { Envelope } from '../threads/wire-error.js';

/** Messages from a row's thread to the metadata thread. */
export type ToMetadata =
  | { readonly kind: 'call'; readonly id: number; readonly name: string; readonly given: readonly unknown[] }
  | { readonly kind: 'seen'; readonly call: number; readonly isRefused: boolean }
  | { readonly kind: 'abort'; readonly call: number };

/** Messages from the metadata thread to a row's thread. */
export type ToRow =
  | { readonly kind: 'answer'; readonly id: number; readonly envelope: Envelope<unknown> }
  | { readonly kind: 'event'; readonly event: ServiceEvent };

/** The name of a row's broadcast channels. */
export function callChannelName(store: string, row: number): string {
  return `${store} calls ${row}`;
}

/** One side of a row's messages. It does not keep the process alive. */
export class CallPort<Sent, Received> {
  readonly #channel: BroadcastChannel;
  readonly #words: Int32Array;
  readonly #sentAt: number;
  readonly #receivedAt: number;
  #received: number;
  /** Messages that the event loop has delivered; they may not have been counted yet. */
  readonly #delivered: Received[] = [];
  #isClosed = false;

  /**
   * @param sentAt - index of the word that counts the messages of this side
   * @param receivedAt - index of the word that counts those of the other side
   */
  constructor(name: string, words: Int32Array, sentAt: number, receivedAt: number) {
    this.#channel = new BroadcastChannel(name);
    this.#channel.onmessage = (event) => this.#delivered.push((event as { readonly data: Received }).data);
    asPort(this.#channel).unref();
    this.#words = words;
    this.#sentAt = sentAt;
    this.#receivedAt = receivedAt;
    this.#received = Atomics.load(words, receivedAt);
  }

  /**
   * The count of messages that were taken. The word with the other side's count differs from it when there are more.
   */
  get received(): number {
    return this.#received;
  }

  /**
   * Posts a message and counts it; does nothing once closed. Throws a `DataCloneError` for values that cannot be
   * posted. Does not wake the other side.
   */
  post(message: Sent): void {
    if (this.#isClosed) return;
    this.#channel.postMessage(message);
    Atomics.add(this.#words, this.#sentAt, 1);
  }

  /** Takes the messages that have been counted, one by one. */
  *take(): Generator<Received> {
    while (!this.#isClosed && this.#received !== Atomics.load(this.#words, this.#receivedAt)) {
      this.#received = (this.#received + 1) | 0;
      yield this.#delivered.length > 0 ? (this.#delivered.shift() as Received) : this.#receive();
    }
  }

  close(): void {
    this.#isClosed = true;
    this.#channel.close();
  }

  #receive(): Received {
    const received: { message: Received } | undefined = receiveMessageOnPort(asPort(this.#channel));
    assert(received !== undefined, 'a message that was counted has not come');
    return received.message;
  }
}

/** A broadcast channel as a port: Node's can be read and unref'ed like one, but their type does not say so. */
export function asPort(channel: BroadcastChannel): MessagePort {
  return channel as unknown as MessagePort;
}
