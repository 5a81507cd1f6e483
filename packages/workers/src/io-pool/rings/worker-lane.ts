/** The client's side of one I/O worker: its rings, and its requests under way, by tag. */

import type { MessagePort } from 'node:worker_threads';
import { assert, type BlobstoreError, type InvariantError } from '@blobyard/core';
import { CompletionReader } from './completion-ring.js';
import type { RingBuffers } from './ring-layout.js';
import type { RingRequest } from './ring-request.js';
import { SubmissionWriter } from './submission-ring.js';

/** Only the client's thread uses it. */
export class WorkerLane {
  readonly port: MessagePort;
  readonly #submissions: SubmissionWriter;
  readonly #completions: CompletionReader;
  readonly #entries: number;
  /** The requests under way, by tag. */
  readonly #flights: (RingRequest | undefined)[];
  /** The free tags, as a stack: so the same few are used again, and their entries stay in the processor's cache. */
  readonly #freeTags: Int32Array;
  #freeCount: number;
  #load = 0;
  #failure: BlobstoreError | InvariantError | undefined;
  /** False once the worker gets no more requests. */
  isOpen = true;
  #emptyWaiters: (() => void)[] = [];

  constructor(ring: RingBuffers, port: MessagePort) {
    this.port = port;
    this.#submissions = new SubmissionWriter(ring);
    this.#completions = new CompletionReader(ring);
    this.#entries = ring.entries;
    this.#flights = new Array(ring.entries).fill(undefined);
    this.#freeTags = Int32Array.from({ length: ring.entries }, (_, index) => ring.entries - 1 - index);
    this.#freeCount = ring.entries;
  }

  get inFlight(): number {
    return this.#entries - this.#freeCount;
  }

  /** The work under way, in units of `RingRequest.weight`. */
  get load(): number {
    return this.#load;
  }

  get hasRoom(): boolean {
    return this.#freeCount > 0 && this.isOpen;
  }

  /** Recent nanoseconds of the worker for a unit of weight; see `RING.PACE`. */
  get pace(): number {
    return this.#completions.pace;
  }

  /** The number of answers that can be taken. */
  get answered(): number {
    return this.#completions.available;
  }

  /** Gives the worker a request. If it is awake, it sees the request at once; if it sleeps, after `ring`. */
  submit(request: RingRequest): void {
    const tag = this.#freeTags[--this.#freeCount];
    this.#flights[tag] = request;
    this.#load += request.weight;
    this.#submissions.push(tag, request);
  }

  /** Wakes the worker if it sleeps and has got requests since the last call. */
  ring(): void {
    this.#submissions.ring();
  }

  /** Takes an answer, which must be there, and returns its request. `failure` refers to it until the next call. */
  takeAnswered(): RingRequest {
    this.#completions.take();
    const tag = this.#completions.tag;
    const request = this.#flights[tag];
    assert(request !== undefined, 'a worker answered a request that it does not have');
    this.#failure = this.#completions.isDone ? undefined : this.#completions.error();
    this.#land(tag, request);
    return request;
  }

  /** The error of the request that was taken last; undefined if it succeeded. */
  get failure(): BlobstoreError | InvariantError | undefined {
    return this.#failure;
  }

  /** Resolves when no request is under way. For lanes that get no more requests. */
  whenEmpty(): Promise<void> {
    if (this.inFlight === 0) return Promise.resolve();
    return new Promise<void>((resolve) => this.#emptyWaiters.push(resolve));
  }

  /** Resolves the promises of `whenEmpty` if no request is under way. */
  tellIfEmpty(): void {
    if (this.inFlight > 0) return;
    for (const resolve of this.#emptyWaiters.splice(0)) resolve();
  }

  /** Takes back all requests of a worker that will not answer them. */
  takeAll(): RingRequest[] {
    const taken: RingRequest[] = [];
    for (let tag = 0; tag < this.#entries; tag++) {
      const request = this.#flights[tag];
      if (request === undefined) continue;
      this.#land(tag, request);
      taken.push(request);
    }
    return taken;
  }

  #land(tag: number, request: RingRequest): void {
    this.#flights[tag] = undefined;
    this.#freeTags[this.#freeCount++] = tag;
    this.#load -= request.weight;
  }
}
