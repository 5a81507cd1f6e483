/** What a metadata thread tells a client of calls, and what it is answered: all of it can be posted to a thread. */

import type { DeviceSpec } from '@blobyard/io';
import type { Progress } from '../api/long-work.js';
import type { LowSpace } from '../api/store.js';
import type { WireError } from '../threads/wire-error.js';

/** Long work that its client follows. */
export interface Followed {
  /** By which both sides name it. */
  readonly call: number;
  /** The client is told of progress, and the work waits each time until it has seen it. */
  readonly hasProgress: boolean;
}

export type ServiceEvent =
  | { readonly kind: 'progress'; readonly call: number; readonly progress: Progress }
  | {
      readonly kind: 'external';
      readonly request: number;
      readonly blobId: bigint;
      readonly snapshotId: Uint8Array;
    }
  | { readonly kind: 'low-space'; readonly lowSpace: LowSpace }
  /** The device of an answered request is not used any more. */
  | { readonly kind: 'external-closed'; readonly request: number };

/** What the client has found for a request of kind `external`. */
export type ExternalAnswer = { readonly spec: DeviceSpec | null } | { readonly error: WireError };
