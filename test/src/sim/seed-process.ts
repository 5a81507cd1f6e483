/** A process that plays the seeds it is told. */

import { serveSeeds } from './play-seeds.js';

serveSeeds();
