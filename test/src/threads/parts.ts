/** What pool mode is made of in tests. */

import type { PooledParts } from '../../../packages/workers/dist/threads/open-pooled.js';
import { startMessagePlane } from './message-plane.js';

/** The data plane of tests, with the metadata worker that serves it. */
export const MESSAGE_PARTS: PooledParts = {
  metadataWorker: new URL('../../dist/threads/message-plane-worker.js', import.meta.url),
  startDataPlane: startMessagePlane,
};
