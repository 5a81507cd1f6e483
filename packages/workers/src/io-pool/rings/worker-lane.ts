/** The client's side of one I/O worker: the rings, and the requests that are under way there, by their tags. */

import type { MessagePort } from 'node:worker_threads';
import { assert, type BlobstoreError, type InvariantError } from '@blobyard/core';
import { CompletionReader } from './completion-ring.js';
import type { RingBuffers } from './ring-layout.js';
import type { RingRequest } from './ring-request.js';
import { SubmissionWriter } from './submission-ring.js';

export class WorkerLane {
  readonly port: MessagePort;
  readonly #submissions: SubmissionWriter;
  readonly #completions: CompletionReader;
  readonly #entries: number;
  /** By tag. */
  readonly #flights: (RingRequest | undefined)[];
  /** A stack, so that a few tags, and the memory they stand for, stay in the cache. */
  readonly #freeTags: Int32Array;
  #freeCount: number;
  #load = 0;
  #failure: BlobstoreError | InvariantError | undefined;
  /** False once the worker is to be given nothing more. */
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

  /** The work that is under way, in the unit of `RingRequest.weight`. */
  get load(): number {
    return this.#load;
  }

  get hasRoom(): boolean {
    return this.#freeCount > 0 && this.isOpen;
  }

  /** Nanoseconds that the worker lately took for a unit of weight. */
  get pace(): number {
    return this.#completions.pace;
  }

  /** Answers that can be taken. */
  get answered(): number {
    return this.#completions.available;
  }

  submit(request: RingRequest): void {
    const tag = this.#freeTags[--this.#freeCount];
    this.#flights[tag] = request;
    this.#load += request.weight;
    this.#submissions.push(tag, request);
  }

  /** Takes an answer, which must be there; what its request failed with is in `failure` until the next call. */
  takeAnswered(): RingRequest {
    this.#completions.take();
    const tag = this.#completions.tag;
    const request = this.#flights[tag];
    assert(request !== undefined, 'a worker answered a request that it does not have');
    this.#failure = this.#completions.isDone ? undefined : this.#completions.error();
    this.#land(tag, request);
    return request;
  }

  get failure(): BlobstoreError | InvariantError | undefined {
    return this.#failure;
  }

  /** Resolves when nothing is under way, of a lane that gets nothing more. */
  whenEmpty(): Promise<void> {
    if (this.inFlight === 0) return Promise.resolve();
    return new Promise<void>((resolve) => this.#emptyWaiters.push(resolve));
  }

  /** Wakes who waits for that. */
  tellIfEmpty(): void {
    if (this.inFlight > 0) return;
    for (const resolve of this.#emptyWaiters.splice(0)) resolve();
  }

  /** Takes back all requests, of a worker that will not answer them. */
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
