/** The words by which the threads of the claim fuzz say what they have, and the test what they are to do. */

const THREADS_MAX = 128;
const CLUSTERS_MAX = 512;
const PAGES_MAX = 512;

export const CLAIM_TABLE = {
  /** 1: threads say what they have, and keep it; 2: they end. */
  STOP: 0,
  /** 1: threads stand still, but for what they have begun. */
  PAUSE: 1,
  /** By a thread's number: 1, it is about to be killed. */
  DYING: 2,
  /** By a thread's number: what it has done. */
  STEPS: 2 + THREADS_MAX,
  /** By cluster: the thread that has it. */
  CLUSTERS: 2 + 2 * THREADS_MAX,
  PAGES: 2 + 2 * THREADS_MAX + CLUSTERS_MAX,
  WORDS: 2 + 2 * THREADS_MAX + CLUSTERS_MAX + PAGES_MAX,
} as const;
