/** The shared words with the claims of the threads of the claim fuzz, and with the commands of the test. */

const THREADS_MAX = 128;
const CLUSTERS_MAX = 512;
const PAGES_MAX = 512;

export const CLAIM_TABLE = {
  /** 1: threads report their claims, and keep them; 2: they end. */
  STOP: 0,
  /** 1: threads pause after the operation that is under way. */
  PAUSE: 1,
  /** By the number of the thread; 1: it is about to be killed. */
  DYING: 2,
  /** By the number of the thread: the number of its operations. */
  STEPS: 2 + THREADS_MAX,
  /** By cluster: the number of the thread that owns it. */
  CLUSTERS: 2 + 2 * THREADS_MAX,
  PAGES: 2 + 2 * THREADS_MAX + CLUSTERS_MAX,
  WORDS: 2 + 2 * THREADS_MAX + CLUSTERS_MAX + PAGES_MAX,
} as const;
