/** What the tests of this project see of a store beside its API. Not exported by the package. */

import type { AttachedStore } from '../api/attached-store.js';
import type { Store } from '../api/store.js';
import { AttachedFace } from '../attached/attached-face.js';
import type { RemoteHost } from '../attached/remote-host.js';
import { StoreFace } from '../store/store-face.js';

/** What has not ended on the calling thread; each is 0 when nothing is under way. */
export function underWayOf(store: Store): Readonly<Record<string, number>> {
  if (!(store instanceof StoreFace)) throw new TypeError('this is no store of this package');
  return store.underWay;
}

/** What the channel of an attached thread works with. */
export function hostOf(store: AttachedStore): RemoteHost {
  if (!(store instanceof AttachedFace)) throw new TypeError('this is no attached store of this package');
  return store.host;
}
