/**
 * A client's connection to its metadata worker: calls, progress of long work, and the worker's end. The worker keeps
 * the process alive only while calls are under way.
 */

import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import { BlobstoreError } from '@blobyard/core';
import { wrap } from 'comlink';
import nodeEndpoint from 'comlink/dist/esm/node-adapter.mjs';
import type { LongWorkOptions } from '../api/long-work.js';
import type { FindExternalSnapshot } from '../api/store.js';
import type { Answer, Enveloped, Given, MethodOf } from '../calls/envelopes.js';
import { FollowedCalls } from '../calls/followed-calls.js';
import type { Followed, ServiceEvent } from '../calls/service-events.js';
import type { Busy } from '../data/in-flight.js';
import type { MetadataEvent } from '../ports/store-parts.js';
import { fromWire, notPosted } from '../threads/wire-error.js';
import { execArgvForFiles } from '../threads/worker-options.js';
import { ExternalFinder } from './external-finder.js';
import type { MetadataWorkerData } from './metadata-protocol.js';
import type { WorkerService } from './worker-service.js';

type ServiceMethod = MethodOf<WorkerService>;

/** The client's thread. */
export class ServiceClient {
  readonly worker: Worker;
  /** Keeps the process alive between `begin` and `end`. */
  readonly busy: Busy;
  readonly #remote: Enveloped;
  /** Methods of `#remote` that were called before. Comlink makes a new proxy each time that a method is read. */
  readonly #methods = new Map<string, Enveloped[string]>();
  readonly #ports: readonly MessagePort[];
  readonly #finder: ExternalFinder;
  /** The reject functions of the calls under way. */
  readonly #pending = new Set<(error: Error) => void>();
  readonly #followed = new FollowedCalls({
    abort: (call) => this.#tell('abort', call),
    seen: (call, isRefused) => this.#tell('seen', call, isRefused),
  });
  readonly #exited: Promise<void>;
  #isEnding = false;
  #death: BlobstoreError | undefined;
  /** The events that came before there was a callback for them. */
  #earlyEvents: MetadataEvent[] = [];
  #onStoreEvent: (event: MetadataEvent) => void = (event) => {
    this.#earlyEvents.push(event);
  };
  #onDeath: ((error: BlobstoreError) => void) | undefined;

  /** Starts a metadata worker. */
  constructor(entry: URL, findExternal: FindExternalSnapshot | undefined) {
    const [service, events] = [new MessageChannel(), new MessageChannel()];
    const workerData: MetadataWorkerData = { service: service.port2, events: events.port2 };
    this.worker = new Worker(entry, {
      name: 'blobyard metadata',
      workerData,
      transferList: [service.port2, events.port2],
      execArgv: execArgvForFiles(),
    });
    this.worker.unref();
    this.busy = refCounted(this.worker);
    this.#ports = [service.port1, events.port1];
    this.#remote = wrap(nodeEndpoint(service.port1)) as unknown as Enveloped;
    this.#finder = new ExternalFinder(findExternal, (request, answer) => {
      this.#tell('answerExternal', request, answer);
    });
    events.port1.on('message', (event: ServiceEvent) => this.#onEvent(event));
    for (const port of this.#ports) port.unref();
    this.#exited = this.#watch();
  }

  /** The error of the worker's end (EIO if it died, EBADF if it was ended by `end`); undefined while it is alive. */
  get death(): BlobstoreError | undefined {
    return this.#death;
  }

  /** Sets the callback for the worker's death. It is called once, before the calls under way fail. */
  onDeath(callback: (error: BlobstoreError) => void): void {
    this.#onDeath = callback;
  }

  /** Sets the callback for events of the store. Those from before are delivered in the next turn of the event loop. */
  onStoreEvent(callback: (event: MetadataEvent) => void): void {
    const early = this.#earlyEvents;
    this.#earlyEvents = [];
    this.#onStoreEvent = callback;
    if (early.length > 0) setImmediate(() => early.forEach((event) => void callback(event)));
  }

  /**
   * Calls a method of the metadata service. Throws the error that the method throws; EIO if the worker has died, or
   * dies meanwhile; EBADF after `end`; EINVAL if an argument cannot be posted.
   */
  call<Name extends ServiceMethod>(
    name: Name,
    ...given: Given<WorkerService, Name>
  ): Promise<Answer<WorkerService, Name>> {
    return new Promise((resolve, reject) => {
      if (this.#death !== undefined) return reject(this.#death);
      this.busy.begin();
      this.#pending.add(reject);
      const end = () => {
        if (this.#pending.delete(reject)) this.busy.end();
      };
      this.#method(name)(...given).then(
        (envelope) => {
          end();
          if ('ok' in envelope) resolve(envelope.ok as Answer<WorkerService, Name>);
          else reject(fromWire(envelope.error));
        },
        (error: Error) => {
          end();
          reject(notPosted(error));
        },
      );
    });
  }

  /** Runs a call of long work; see `FollowedCalls.follow`. */
  follow<T>(options: LongWorkOptions, begin: (followed: Followed) => Promise<T>): Promise<T> {
    return this.#followed.follow(options, begin);
  }

  /** Terminates the worker, whatever it is doing. Calls under way fail. */
  async end(): Promise<void> {
    this.#isEnding = true;
    this.busy.begin(); // closing a store keeps the process alive until it has ended
    try {
      await this.worker.terminate();
      await this.#exited;
      await this.#finder.closeAll();
    } finally {
      this.busy.end();
    }
  }

  #method(name: ServiceMethod): Enveloped[string] {
    const known = this.#methods.get(name);
    if (known !== undefined) return known;
    const method = this.#remote[name];
    this.#methods.set(name, method);
    return method;
  }

  /** Makes a call whose result is ignored. */
  #tell<Name extends ServiceMethod>(name: Name, ...given: Given<WorkerService, Name>): void {
    this.call(name, ...given).catch(() => undefined);
  }

  #onEvent(event: ServiceEvent): void {
    if (event.kind === 'progress') this.#followed.progressed(event.call, event.progress);
    else if (event.kind === 'store') this.#onStoreEvent(event.event);
    else if (event.kind === 'external') this.#finder.find(event.request, event);
    else this.#finder.close(event.request);
  }

  #watch(): Promise<void> {
    let failure: Error | undefined;
    this.worker.on('error', (error: Error) => {
      failure = error;
    });
    return new Promise((resolve) => {
      this.worker.once('exit', (exitCode) => {
        this.#onExit(failure, exitCode);
        resolve();
      });
    });
  }

  #onExit(failure: Error | undefined, exitCode: number): void {
    for (const port of this.#ports) port.close();
    const error = deathOf(failure, exitCode, this.#isEnding);
    this.#death = error;
    if (!this.#isEnding) this.#onDeath?.(error);
    for (const reject of [...this.#pending]) {
      this.#pending.delete(reject);
      this.busy.end();
      reject(error);
    }
  }
}

function deathOf(failure: Error | undefined, exitCode: number, isEnding: boolean): BlobstoreError {
  if (isEnding)
    return new BlobstoreError('EBADF', 'the store was closed, and its metadata worker ended: open the store again');
  const why = failure === undefined ? `it exited with code ${exitCode}` : failure.message;
  const advice = 'what was synced is on the device: close this store, and open it again, which recovers it';
  return new BlobstoreError('EIO', `the metadata worker died (${why}); ${advice}`, { cause: failure });
}

function refCounted(worker: Worker): Busy {
  let count = 0;
  return {
    begin() {
      if (count++ === 0) worker.ref();
    },
    end() {
      if (--count === 0) worker.unref();
    },
  };
}
