/**
 * What the torturing process knows of a store: from what the tortured one has reported, what may be found after it was killed.
 * Of each blob it keeps two contents. `now` is what was acknowledged. `safe` is what is there without the clusters that the
 * blob has taken since it was last synced: with `power-loss` a kill may take each of these back as a whole.
 */

import { checksum, patternAt, putPattern } from './pattern.js';
import type { ClusterMap, DataOperation, Durability, Operation, ReportedLine } from './protocol.js';

/** A blob as it was found. */
export interface FoundBlob {
  readonly id: bigint;
  readonly content: Uint8Array;
  readonly xattrs: ReadonlyMap<string, string>;
  readonly map: ClusterMap;
  readonly isReadOnly: boolean;
}

interface KnownBlob {
  readonly id: bigint;
  now: Uint8Array;
  safe: Uint8Array;
  /** Of each cluster, whether the disk surely knows that the blob has it. */
  kept: boolean[];
  xattrs: Map<string, string>;
  readonly isReadOnly: boolean;
  /** Goes up with each change of bytes. */
  version: number;
}

/** What was begun and not acknowledged. */
interface Pending {
  readonly operation: Operation;
  /** Of a flush of the store: the blobs as they were when it began. */
  readonly versions?: ReadonlyMap<string, number>;
}

const FINDINGS_MAX = 12;

export class Oracle {
  readonly findings: string[] = [];
  readonly #clusterBytes: number;
  readonly #durability: Durability;
  #blobs = new Map<string, KnownBlob>();
  readonly #pending = new Map<number, Pending>();
  operations = 0;
  acknowledged = 0;

  constructor(clusterBytes: number, durability: Durability) {
    this.#clusterBytes = clusterBytes;
    this.#durability = durability;
  }

  /** Keys and ids of all blobs, once it is known which there are. */
  get listed(): { key: string; id: string }[] {
    return [...this.#blobs].map(([key, { id }]) => ({ key, id: id.toString() }));
  }

  get pendingCount(): number {
    return this.#pending.size;
  }

  take(line: ReportedLine): void {
    if ('begin' in line) this.#begin(line.begin, line.operation);
    else if ('done' in line) this.#done(line.done, line.id);
    else this.#find(`${describe(this.#operation(line.failed))} failed: ${line.text}`);
  }

  /**
   * Compares what was found, and goes on from there. @param isClosed - the store was closed in good order: all that was
   * acknowledged is there.
   */
  compare(found: ReadonlyMap<string, FoundBlob>, isClosed: boolean): void {
    for (const [key, known] of this.#blobs) {
      const blob = found.get(key);
      if (blob !== undefined) this.#compareBlob(key, known, blob, found, isClosed);
      else if (!this.#pendingOn(key).some(({ kind }) => kind === 'delete')) this.#find(`blob ${key} is gone`);
    }
    for (const [key, blob] of found) if (!this.#blobs.has(key)) this.#compareNew(key, blob);
    this.#pending.clear();
    this.#blobs = new Map([...found].map(([key, blob]) => [key, this.#known(blob)]));
  }

  #known({ id, content, xattrs, map, isReadOnly }: FoundBlob): KnownBlob {
    const kept = [...map].map((each) => each === '1');
    return { id, now: content, safe: content.slice(), kept, xattrs: new Map(xattrs), isReadOnly, version: 0 };
  }

  #begin(number: number, operation: Operation): void {
    this.operations++;
    if (operation.kind === 'sync' || operation.kind === 'flush') {
      if (checksum(this.#blob(operation.key).now) !== operation.crc)
        this.#find(`blob ${operation.key}, in use, does not read as what was written`);
    }
    const versions =
      operation.kind === 'flushStore'
        ? new Map([...this.#blobs].map(([key, { version }]) => [key, version]))
        : undefined;
    this.#pending.set(number, { operation, versions });
  }

  #done(number: number, id: string | undefined): void {
    this.acknowledged++;
    const operation = this.#operation(number);
    const { versions } = this.#pending.get(number) as Pending;
    this.#pending.delete(number);
    if (operation.kind === 'flushStore') this.#flushed(versions as ReadonlyMap<string, number>);
    else if (operation.kind === 'create')
      this.#blobs.set(operation.key, this.#created(operation, BigInt(id as string)));
    else this.#doneWith(this.#blob(operation.key), operation, id);
  }

  #doneWith(
    blob: KnownBlob,
    operation: Exclude<Operation, { kind: 'flushStore' | 'create' }>,
    id: string | undefined,
  ): void {
    switch (operation.kind) {
      case 'write':
      case 'zero':
      case 'trim':
        this.#change(blob, operation);
        return;
      case 'sync':
      case 'flush':
        blob.safe = blob.now.slice();
        blob.kept = [...operation.map].map((each) => each === '1');
        return;
      case 'xattr':
        if (operation.value === undefined) blob.xattrs.delete(operation.name);
        else blob.xattrs.set(operation.name, operation.value);
        return;
      case 'resize':
        blob.now = resized(blob.now, operation.bytes);
        blob.safe = resized(blob.safe, operation.bytes);
        blob.kept.length = Math.min(blob.kept.length, operation.bytes / this.#clusterBytes);
        return;
      case 'snapshot':
      case 'clone':
        this.#blobs.set(operation.made, this.#derived(operation.kind, operation.made, blob, BigInt(id as string)));
        return;
      case 'delete':
        this.#blobs.delete(operation.key);
        return;
      case 'inflate':
      case 'decouple':
        return; // the same bytes
    }
  }

  #created({ key, bytes, tag, thin }: Extract<Operation, { kind: 'create' }>, id: bigint): KnownBlob {
    const kept = new Array<boolean>(bytes / this.#clusterBytes).fill(!thin);
    const xattrs = new Map([
      ['name', key],
      ['tag', tag],
    ]);
    return { id, now: new Uint8Array(bytes), safe: new Uint8Array(bytes), kept, xattrs, isReadOnly: false, version: 0 };
  }

  /** A snapshot has taken over all clusters, durably; what it was made of has none of its own. */
  #derived(kind: 'snapshot' | 'clone', made: string, from: KnownBlob, id: bigint): KnownBlob {
    if (kind === 'snapshot') {
      from.safe = from.now.slice();
      from.kept = [];
    }
    const [now, safe] = [from.now.slice(), from.now.slice()];
    return { id, now, safe, kept: [], xattrs: new Map([['name', made]]), isReadOnly: kind === 'snapshot', version: 0 };
  }

  #change(blob: KnownBlob, operation: DataOperation): void {
    blob.version++;
    const bytes = this.#clusterBytes;
    const end = operation.at + operation.length;
    for (let at = operation.at; at < end; ) {
      const cluster = Math.floor(at / bytes);
      const length = Math.min(end, (cluster + 1) * bytes) - at;
      const isOwn = operation.kind !== 'trim' || operation.map[cluster] === '1';
      if (isOwn) apply(blob.now, operation, at, length);
      if (isOwn && blob.kept[cluster]) apply(blob.safe, operation, at, length);
      if (operation.kind === 'trim' && length === bytes) blob.kept[cluster] = false; // may have been given back
      at += length;
    }
  }

  #flushed(versions: ReadonlyMap<string, number>): void {
    for (const [key, version] of versions) {
      const blob = this.#blobs.get(key);
      if (blob?.version === version && blob.safe.length === blob.now.length) blob.safe = blob.now.slice();
    }
  }

  #compareBlob(
    key: string,
    known: KnownBlob,
    blob: FoundBlob,
    found: ReadonlyMap<string, FoundBlob>,
    isClosed: boolean,
  ): void {
    const pending = this.#pendingOn(key);
    if (blob.id !== known.id) this.#find(`blob ${key} has id ${blob.id}, not ${known.id}`);
    if (blob.isReadOnly !== known.isReadOnly) this.#find(`blob ${key}: read-only is ${blob.isReadOnly}`);
    const sizes = [known.now.length, ...pending.flatMap((each) => (each.kind === 'resize' ? [each.bytes] : []))];
    if (!sizes.includes(blob.content.length))
      this.#find(`blob ${key} has ${blob.content.length} bytes, not ${sizes.join(' or ')}`);
    // A snapshot that is there has made durable what it was made of.
    const isSettled = pending.some((each) => each.kind === 'snapshot' && found.has(each.made));
    const isStrict = isClosed || isSettled || this.#durability === 'process-crash';
    this.#compareContent(key, known, blob.content, pending, isStrict);
    this.#compareXattrs(key, known.xattrs, blob.xattrs, pending);
  }

  #compareContent(
    key: string,
    known: KnownBlob,
    content: Uint8Array,
    pending: readonly Operation[],
    isStrict: boolean,
  ): void {
    const now = resized(known.now, content.length);
    const safe = resized(known.safe, content.length);
    const changes = pending.filter(isDataOperation);
    for (let at = 0; at < content.length; at += this.#clusterBytes) {
      const end = at + this.#clusterBytes;
      const cluster = at / this.#clusterBytes;
      const wrongAt = differenceAt(content, now, at, end, changes);
      if (wrongAt < 0) continue;
      if (!isStrict && !known.kept[cluster] && differenceAt(content, safe, at, end, changes) < 0) continue;
      const hex = (bytes: Uint8Array) => Buffer.from(bytes.subarray(wrongAt, wrongAt + 8)).toString('hex');
      const wasKept = known.kept[cluster] ? 'kept' : 'new since the last sync';
      this.#find(
        `blob ${key}, byte ${wrongAt} (cluster ${cluster}, ${wasKept}): found ${hex(content)}, ` +
          `acknowledged ${hex(now)}, synced ${hex(safe)}; under way: ${pending.map(describe).join(', ') || 'nothing'}`,
      );
      return;
    }
  }

  #compareXattrs(
    key: string,
    known: ReadonlyMap<string, string>,
    found: ReadonlyMap<string, string>,
    pending: readonly Operation[],
  ): void {
    for (const name of new Set([...known.keys(), ...found.keys()])) {
      const allowed = [known.get(name)];
      for (const each of pending) if (each.kind === 'xattr' && each.name === name) allowed.push(each.value);
      if (!allowed.includes(found.get(name)))
        this.#find(`blob ${key}, xattr ${name}: found ${found.get(name)}, not ${allowed.join(' or ')}`);
    }
  }

  /** A blob that no acknowledged operation has made: one that was under way has, and it is whole. */
  #compareNew(key: string, blob: FoundBlob): void {
    const expected = this.#underWay(key, blob.id);
    if (expected === undefined) this.#find(`blob ${key} is there, which was deleted or never made`);
    else this.#compareMade(key, blob, expected);
  }

  #underWay(key: string, id: bigint): KnownBlob | undefined {
    for (const { operation } of this.#pending.values()) {
      if (operation.kind === 'create' && operation.key === key) return this.#created(operation, id);
      if ((operation.kind === 'snapshot' || operation.kind === 'clone') && operation.made === key)
        return this.#derived(operation.kind, key, this.#blob(operation.key), id);
    }
    return undefined;
  }

  #compareMade(key: string, blob: FoundBlob, expected: KnownBlob): void {
    if (blob.content.length !== expected.now.length || !Buffer.from(blob.content).equals(expected.now))
      this.#find(`blob ${key}, which was being made, is not as it should have become`);
    if (blob.isReadOnly !== expected.isReadOnly) this.#find(`new blob ${key}: read-only is ${blob.isReadOnly}`);
    this.#compareXattrs(key, expected.xattrs, blob.xattrs, []);
  }

  #pendingOn(key: string): Operation[] {
    const on: Operation[] = [];
    for (const { operation } of this.#pending.values()) {
      if (operation.kind !== 'flushStore' && operation.key === key) on.push(operation);
    }
    return on;
  }

  #operation(number: number): Operation {
    const pending = this.#pending.get(number);
    if (pending === undefined) throw new Error(`operation ${number} has ended, and not begun`);
    return pending.operation;
  }

  #blob(key: string): KnownBlob {
    const blob = this.#blobs.get(key);
    if (blob === undefined) throw new Error(`blob ${key} is not known`);
    return blob;
  }

  #find(text: string): void {
    if (this.findings.length < FINDINGS_MAX) this.findings.push(text);
  }
}

function apply(target: Uint8Array, operation: DataOperation, at: number, length: number): void {
  if (operation.kind === 'write') putPattern(target, at, length, operation.token, at);
  else target.fill(0, at, at + length);
}

/** The first byte that is neither as expected nor of something under way; -1 if there is none. */
function differenceAt(
  found: Uint8Array,
  expected: Uint8Array,
  start: number,
  end: number,
  changes: readonly DataOperation[],
): number {
  if (Buffer.compare(found.subarray(start, end), expected.subarray(start, end)) === 0) return -1;
  for (let at = start; at < end; at++) {
    if (found[at] === expected[at]) continue;
    const isOfChange = changes.some((change) => {
      if (at < change.at || at >= change.at + change.length) return false;
      return found[at] === (change.kind === 'write' ? patternAt(change.token, at) : 0);
    });
    if (!isOfChange) return at;
  }
  return -1;
}

function isDataOperation(operation: Operation): operation is DataOperation {
  return operation.kind === 'write' || operation.kind === 'zero' || operation.kind === 'trim';
}

function resized(bytes: Uint8Array, length: number): Uint8Array {
  if (length <= bytes.length) return bytes.slice(0, length);
  const longer = new Uint8Array(length);
  longer.set(bytes);
  return longer;
}

function describe(operation: Operation): string {
  const { kind, ...rest } = operation;
  return `${kind} ${JSON.stringify(rest)}`;
}
