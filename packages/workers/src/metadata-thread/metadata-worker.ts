/** The entry of the metadata worker. */

import { serveMetadata } from './serve-metadata.js';

serveMetadata();
