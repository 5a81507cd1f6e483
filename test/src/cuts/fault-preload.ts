/** Loaded first on each thread of a process that plays with a fault: it inserts the fault when the engine is loaded. */

import { register } from 'node:module';
import { MUTATIONS } from '../sim/mutations.js';

/** The environment variable with the name of the fault. */
export const FAULT_VARIABLE = 'BLOBYARD_TEST_FAULT';

const name = process.env[FAULT_VARIABLE];
const mutation = MUTATIONS.find((each) => each.name === name);
if (mutation) register('../sim/mutation-loader.js', import.meta.url, { data: mutation });
