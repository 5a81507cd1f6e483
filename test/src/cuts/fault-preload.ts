/** Loaded first on each thread of a process that plays with a fault in the engine: puts it in where the engine is loaded. */

import { register } from 'node:module';
import { MUTATIONS } from '../sim/mutations.js';

/** The variable of the environment that names the fault. */
export const FAULT_VARIABLE = 'BLOBYARD_TEST_FAULT';

const name = process.env[FAULT_VARIABLE];
const mutation = MUTATIONS.find((each) => each.name === name);
if (mutation) register('../sim/mutation-loader.js', import.meta.url, { data: mutation });
