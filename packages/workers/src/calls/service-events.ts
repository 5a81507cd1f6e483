/** The events that a metadata thread sends to a client, and the client's answers. All of them can be posted. */

import type { DeviceSpec } from '@blobyard/io';
import type { Progress } from '../api/long-work.js';
import type { MetadataEvent } from '../ports/store-parts.js';
import type { WireError } from '../threads/wire-error.js';

/** Describes long work whose client receives its progress, and can abort it. */
export interface Followed {
  /** The number that identifies the call on both sides. */
  readonly call: number;
  /** True if progress is reported to the client; each time, the work waits until the client has seen it. */
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
  | { readonly kind: 'store'; readonly event: MetadataEvent }
  /** The device of an answered request is no longer in use. */
  | { readonly kind: 'external-closed'; readonly request: number };

/** The client's answer to a request of kind `external`; the spec is null when it has no such snapshot. */
export type ExternalAnswer = { readonly spec: DeviceSpec | null } | { readonly error: WireError };
