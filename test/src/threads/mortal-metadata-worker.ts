/** A metadata worker for tests, which can be told to die. */

import { parentPort } from 'node:worker_threads';
import { serveMetadata } from '../../../packages/workers/dist/metadata-thread/serve-metadata.js';

export type DeathWish = { readonly die: 'exit' | 'throw' | 'reject' | 'memory' };

serveMetadata();

parentPort?.on('message', ({ die }: DeathWish) => {
  if (die === 'exit') process.exit(3);
  if (die === 'throw') throw new Error('a bug in the metadata worker');
  if (die === 'reject') void Promise.reject(new Error('nobody catches this'));
  let hoard: unknown;
  while (die === 'memory') hoard = { more: hoard, some: [Math.random()] };
});
