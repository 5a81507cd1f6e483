/** A thread of an I/O worker, as the client sees it. */

import { type MessagePort, Worker } from 'node:worker_threads';
import { type Envelope, fromWire } from '../threads/wire-error.js';
import { execArgvForFiles } from '../threads/worker-options.js';
import type { IoWorkerCall } from './io-worker.js';
import type { IoWorkerTask } from './serve-io.js';

/** The reply to a call: the row of the worker's channel for `begin`, nothing for `end`. */
type Reply = Envelope<number | undefined>;

/** Only the thread that started it uses it. It keeps the process alive only while it is asked for something. */
export class IoThread {
  /** Resolves with the reason when the thread has ended. */
  readonly exited: Promise<Error>;
  readonly #worker: Worker;
  /** Calls without a reply so far, in their order. The thread replies in this order. */
  readonly #waiting: { resolve(reply: Reply): void; reject(error: Error): void }[] = [];
  #end: Error | undefined;

  /** Starts the thread, which loads its code at once. */
  constructor(entry: URL) {
    this.#worker = new Worker(entry, { name: 'blobyard io', execArgv: execArgvForFiles() });
    this.#worker.unref();
    this.#worker.on('message', (reply: Reply) => this.#settle(reply));
    let failure: Error | undefined;
    this.#worker.on('error', (error) => {
      failure = error;
    });
    this.exited = new Promise((resolve) => {
      this.#worker.once('exit', (exitCode) => {
        const end = failure ?? new Error(`it exited with code ${exitCode}`);
        this.#end = end;
        for (const { reject } of this.#waiting.splice(0)) reject(end);
        resolve(end);
      });
    });
  }

  /** False after the thread has ended. */
  get isAlive(): boolean {
    return this.#end === undefined;
  }

  /**
   * Has the thread attach to the store, and serve a ring. Returns the row of its channel. After an error, it may be
   * called again.
   * @throws the error of attaching; the reason of the thread's end, if it ends before it has replied
   */
  async begin(task: IoWorkerTask): Promise<number> {
    return (await this.#call({ task }, [task.port])) as number;
  }

  /**
   * Waits until the thread does not serve its ring any more, and has detached. The client must have requested that.
   * @throws the error of detaching; the reason of the thread's end, if it ends before it has replied
   */
  async end(): Promise<void> {
    await this.#call({}, []);
  }

  /** Terminates the thread, and waits for its end. */
  async terminate(): Promise<void> {
    await this.#worker.terminate();
  }

  async #call(call: IoWorkerCall, transferList: MessagePort[]): Promise<number | undefined> {
    const reply = await new Promise<Reply>((resolve, reject) => {
      if (this.#end !== undefined) return reject(this.#end);
      this.#worker.postMessage(call, transferList);
      this.#worker.ref();
      this.#waiting.push({ resolve, reject });
    });
    if ('error' in reply) throw fromWire(reply.error);
    return reply.ok;
  }

  #settle(reply: Reply): void {
    this.#waiting.shift()?.resolve(reply);
    if (this.#waiting.length === 0) this.#worker.unref();
  }
}
