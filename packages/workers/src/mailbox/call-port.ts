/**
 * Calls of methods, from threads that have a row of the channel table to the metadata thread: messages of any size, which shared
 * memory of a fixed size cannot hold, and counts of them in the row's mailbox, by which a thread finds them without its event
 * loop. A row has two sides, R (its thread) and M (the metadata thread), each with a broadcast channel of the same name: the only
 * kind that can be had by a name. What one side posts is in the queue of the other when `postMessage` returns, and is in no other
 * queue.
 *
 * | word or message | written by | read by |
 * |---|---|---|
 * | `POSTED` | R, after each `ToMetadata` | M, which takes as many messages as were counted |
 * | `TOLD` | M, after each `ToRow` | R, the same; it sleeps on this word |
 * | `ToMetadata` | R | M: a call is answered once, `seen` and `abort` not at all |
 * | `ToRow` | M | R: an answer to the call with its number; progress |
 *
 * *Joining.* A message that is posted before M has a channel of the row's name is lost. So R asks for that first, by a request in
 * its mailbox (`JOIN`), and keeps its messages until that is answered.
 *
 * *No call is lost.* R: posts (r1), counts (r2), sets its ready bit (r3), and wakes M as for any request. M: takes the bits (m1), reads
 * the count (m2), takes messages (m3). If r3 comes before m1, so do r1 and r2, and M finds the message. Otherwise the bit is still
 * set when M looks next, and M does not sleep over a bit that is set (`mailbox.ts`).
 *
 * *No answer is lost.* M: posts (a1), counts (a2), notifies (a3). R: reads the count (c1), takes messages (c2), sleeps while the count
 * is as of c1 (c3). If a2 comes before c1, R finds the answer at c2. Otherwise a2 changes the word: c3 does not sleep, or is woken.
 *
 * A channel that is read like a port also gives its messages to the event loop, when that turns first. What comes so is kept, in
 * order, and taken before what is still in the queue.
 *
 * *None is given twice.* Taking a message removes it; each side takes as many as were counted; R forgets a call with its answer.
 *
 * *Rows change hands.* M ends a call before it gives the row of a dead thread back, and before it answers `LEAVE`; then it closes its
 * channel. What a dead thread posted and M has not taken goes with that. A new thread of the row begins with the counts as they
 * are, and with an empty queue.
 *
 * *No call holds a slot of the mailbox.* Calls can wait for a blob to be frozen, and so for this same thread to leave it; what it does
 * inside needs slots.
 */

import { BroadcastChannel, type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import { assert } from '@blobyard/core';
import type { ServiceEvent } from '../calls/service-events.js';
import type { Envelope } from '../threads/wire-error.js';

/** What a row's thread tells the metadata thread. */
export type ToMetadata =
  | { readonly kind: 'call'; readonly id: number; readonly name: string; readonly given: readonly unknown[] }
  | { readonly kind: 'seen'; readonly call: number; readonly isRefused: boolean }
  | { readonly kind: 'abort'; readonly call: number };

/** What the metadata thread tells a row's thread. */
export type ToRow =
  | { readonly kind: 'answer'; readonly id: number; readonly envelope: Envelope<unknown> }
  | { readonly kind: 'event'; readonly event: ServiceEvent };

/** The name of the channels of a row. */
export function callChannelName(store: string, row: number): string {
  return `${store} calls ${row}`;
}

/** One side of a row's messages. It keeps no process alive. */
export class CallPort<Sent, Received> {
  readonly #channel: BroadcastChannel;
  readonly #words: Int32Array;
  readonly #sentAt: number;
  readonly #receivedAt: number;
  #received: number;
  /** Messages that came by the event loop, and may not have been counted yet. */
  readonly #delivered: Received[] = [];
  #isClosed = false;

  /** @param sentAt - where the word lies that counts what this side has posted; @param receivedAt - the other side's */
  constructor(name: string, words: Int32Array, sentAt: number, receivedAt: number) {
    this.#channel = new BroadcastChannel(name);
    this.#channel.onmessage = (event) => this.#delivered.push((event as { readonly data: Received }).data);
    asPort(this.#channel).unref();
    this.#words = words;
    this.#sentAt = sentAt;
    this.#receivedAt = receivedAt;
    this.#received = Atomics.load(words, receivedAt);
  }

  /** What has been taken: the word with the other side's count is this one until there is more. */
  get received(): number {
    return this.#received;
  }

  /** Posts a message; nothing once closed. Throws a `DataCloneError` for what cannot be posted. Who sleeps is not woken. */
  post(message: Sent): void {
    if (this.#isClosed) return;
    this.#channel.postMessage(message);
    Atomics.add(this.#words, this.#sentAt, 1);
  }

  /** Takes the messages that have been counted, one after another. */
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

/** Node's own broadcast channels can be read and unref'ed like ports; their type does not say so. */
export function asPort(channel: BroadcastChannel): MessagePort {
  return channel as unknown as MessagePort;
}
