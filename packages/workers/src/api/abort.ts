/**
 * Calls that can be aborted: all that return a promise, except those that let go of something (`close`,
 * `destroy`), because nobody else would.
 */

/**
 * What `signal` does. The call rejects with an error whose `name` is 'AbortError', whose `code` is 'ABORT_ERR', and whose
 * `cause` is the reason of the signal. This error always means that the call was not carried out to its end:
 *
 * - If the signal is aborted already, the call does nothing.
 * - A read, a write, `writeZeroes` or `trim` sends no further request to the device. Requests that the device already
 *   has are waited for. So when the promise settles, the device does not use the caller's memory any more. Of a write,
 *   some parts may be done, each a part of at most 2 MiB.
 * - `inflate`, `decouple` and `copyTo` end before their next cluster, or at once while they wait for other operations.
 *   Opening and checking a store ends between two blobs.
 * - Any other call is carried out to its end once it has begun, and its promise resolves.
 */
export interface AbortableOptions {
  readonly signal?: AbortSignal;
}
