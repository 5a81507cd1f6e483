/** A process that plays the seeds which its parent sends. */

import { serveSeeds } from './play-seeds.js';

serveSeeds();
