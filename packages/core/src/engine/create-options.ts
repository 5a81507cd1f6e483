import type { CreateBlobOptions } from '../metadata/create.js';
import { checkBytes } from '../units/argument-checks.js';
import { checkClearMethod, checkCount, checkOptions } from './engine-checks.js';
import { type Xattrs, xattrList } from './xattrs.js';

/** `CreateBlobOptions` with xattrs by name. */
export interface CreateOptions extends Omit<CreateBlobOptions, 'xattrs'> {
  xattrs?: Xattrs;
}

/** Returns a checked copy of a new blob's options. EINVAL unless they are valid. */
export function checkCreateOptions(options: CreateOptions): CreateBlobOptions {
  const given = checkOptions<CreateOptions>('options of a blob', options);
  checkCount('the number of clusters', given.clusterCount ?? 0);
  checkClearMethod(given.clearMethod);
  if (given.externalSnapshotId !== undefined) checkBytes('the id of an external snapshot', given.externalSnapshotId);
  return { ...given, xattrs: xattrList(given.xattrs) };
}
