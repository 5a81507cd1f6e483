/** Access to the internals of a store, for the tests of this project. Not exported by the package. */

import type { Store } from '../api/store.js';
import { AttachedFace } from '../attached/attached-face.js';
import type { RemoteHost } from '../attached/remote-host.js';
import { StoreFace } from '../store/store-face.js';

/** Returns counts of what is under way on the calling thread. Each is 0 when the store is idle. */
export function underWayOf(store: Store): Readonly<Record<string, number>> {
  if (!(store instanceof StoreFace)) throw new TypeError('this is no store of this package');
  return store.underWay;
}

/** Returns the host of the channel of an attached thread. */
export function hostOf(store: Store): RemoteHost {
  if (!(store instanceof AttachedFace)) throw new TypeError('this is no attached store of this package');
  return store.host;
}
