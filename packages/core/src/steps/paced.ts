/** Loops over many elements, with pauses. */

import type { Steps } from './steps.js';

/** How many elements are visited between two pauses: at most a millisecond or two of work. */
const RUN = 1024;

/** Calls `visit` with each element in order, and pauses after each 1024 elements (`RUN`). */
export function* forEachPaced<T>(elements: Iterable<T>, visit: (element: T) => void): Steps<void> {
  let untilPause = RUN;
  for (const element of elements) {
    visit(element);
    if (--untilPause > 0) continue;
    untilPause = RUN;
    yield undefined;
  }
}
