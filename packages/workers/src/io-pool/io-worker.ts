/** The entry of an I/O worker. The client (`IoThread`) calls its two functions by messages. */

import { parentPort } from 'node:worker_threads';
import { begin, end, type IoWorkerTask } from './serve-io.js';

/** A message of the client: with a task it calls `begin`, otherwise `end`. The reply is what the function returns. */
export interface IoWorkerCall {
  readonly task?: IoWorkerTask;
}

parentPort?.on('message', async ({ task }: IoWorkerCall) => {
  parentPort?.postMessage(task === undefined ? await end() : await begin(task));
});
