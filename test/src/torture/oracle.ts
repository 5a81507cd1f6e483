/**
 * The model of the store in the torturing process. It derives from the reports of the tortured process what may be
 * found after the kill: all acknowledged changes, at both durability levels, and any part of those under way.
 */

import { checksum, patternAt, putPattern } from './pattern.js';
import type { DataOperation, Operation, ReportedLine } from './protocol.js';

/** A blob that was found after the kill. */
export interface FoundBlob {
  readonly id: bigint;
  readonly content: Uint8Array;
  readonly xattrs: ReadonlyMap<string, string>;
  readonly isReadOnly: boolean;
}

interface KnownBlob {
  readonly id: bigint;
  /** The data after all acknowledged changes. */
  now: Uint8Array;
  xattrs: Map<string, string>;
  readonly isReadOnly: boolean;
}

const FINDINGS_MAX = 12;

export class Oracle {
  readonly findings: string[] = [];
  readonly #clusterBytes: number;
  #blobs = new Map<string, KnownBlob>();
  /** The operations that have begun and are not acknowledged, by number. */
  readonly #pending = new Map<number, Operation>();
  operations = 0;
  acknowledged = 0;

  constructor(clusterBytes: number) {
    this.#clusterBytes = clusterBytes;
  }

  /** The keys and ids of all blobs. Valid after `compare`. */
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

  /** Compares the blobs that were found with the model, and takes over their state. */
  compare(found: ReadonlyMap<string, FoundBlob>): void {
    for (const [key, known] of this.#blobs) {
      const blob = found.get(key);
      if (blob !== undefined) this.#compareBlob(key, known, blob);
      else if (!this.#pendingOn(key).some(({ kind }) => kind === 'delete')) this.#find(`blob ${key} is gone`);
    }
    for (const [key, blob] of found) if (!this.#blobs.has(key)) this.#compareNew(key, blob);
    this.#pending.clear();
    this.#blobs = new Map([...found].map(([key, blob]) => [key, this.#known(blob)]));
  }

  #known({ id, content, xattrs, isReadOnly }: FoundBlob): KnownBlob {
    return { id, now: content, xattrs: new Map(xattrs), isReadOnly };
  }

  #begin(number: number, operation: Operation): void {
    this.operations++;
    if (operation.kind === 'sync' || operation.kind === 'flush') {
      if (checksum(this.#blob(operation.key).now) !== operation.crc)
        this.#find(`blob ${operation.key}, in use, does not read as what was written`);
    }
    this.#pending.set(number, operation);
  }

  #done(number: number, id: string | undefined): void {
    this.acknowledged++;
    const operation = this.#operation(number);
    this.#pending.delete(number);
    if (operation.kind === 'flushStore') return;
    if (operation.kind === 'create') this.#blobs.set(operation.key, this.#created(operation, BigInt(id as string)));
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
      case 'xattr':
        if (operation.value === undefined) blob.xattrs.delete(operation.name);
        else blob.xattrs.set(operation.name, operation.value);
        return;
      case 'resize':
        blob.now = resized(blob.now, operation.bytes);
        return;
      case 'snapshot':
      case 'clone':
        this.#blobs.set(operation.made, this.#derived(operation.kind, operation.made, blob, BigInt(id as string)));
        return;
      case 'delete':
        this.#blobs.delete(operation.key);
        return;
      case 'sync':
      case 'flush':
      case 'inflate':
      case 'decouple':
        return; // these operations do not change the bytes
    }
  }

  #created({ key, bytes, tag }: Extract<Operation, { kind: 'create' }>, id: bigint): KnownBlob {
    const xattrs = new Map([
      ['name', key],
      ['tag', tag],
    ]);
    return { id, now: new Uint8Array(bytes), xattrs, isReadOnly: false };
  }

  #derived(kind: 'snapshot' | 'clone', made: string, from: KnownBlob, id: bigint): KnownBlob {
    const xattrs = new Map(from.xattrs).set('name', made);
    return { id, now: from.now.slice(), xattrs, isReadOnly: kind === 'snapshot' };
  }

  #change(blob: KnownBlob, operation: DataOperation): void {
    const bytes = this.#clusterBytes;
    const end = operation.at + operation.length;
    for (let at = operation.at; at < end; ) {
      const cluster = Math.floor(at / bytes);
      const length = Math.min(end, (cluster + 1) * bytes) - at;
      const isOwn = operation.kind !== 'trim' || operation.map[cluster] === '1';
      if (isOwn) apply(blob.now, operation, at, length);
      at += length;
    }
  }

  #compareBlob(key: string, known: KnownBlob, blob: FoundBlob): void {
    const pending = this.#pendingOn(key);
    if (blob.id !== known.id) this.#find(`blob ${key} has id ${blob.id}, not ${known.id}`);
    if (blob.isReadOnly !== known.isReadOnly) this.#find(`blob ${key}: read-only is ${blob.isReadOnly}`);
    const sizes = [known.now.length, ...pending.flatMap((each) => (each.kind === 'resize' ? [each.bytes] : []))];
    if (!sizes.includes(blob.content.length))
      this.#find(`blob ${key} has ${blob.content.length} bytes, not ${sizes.join(' or ')}`);
    this.#compareContent(key, known, blob.content, pending);
    this.#compareXattrs(key, known.xattrs, blob.xattrs, pending);
  }

  #compareContent(key: string, known: KnownBlob, content: Uint8Array, pending: readonly Operation[]): void {
    const now = resized(known.now, content.length);
    const at = differenceAt(content, now, pending.filter(isDataOperation));
    if (at < 0) return;
    const hex = (bytes: Uint8Array) => Buffer.from(bytes.subarray(at, at + 8)).toString('hex');
    this.#find(
      `blob ${key}, byte ${at} (cluster ${Math.floor(at / this.#clusterBytes)}): found ${hex(content)}, ` +
        `acknowledged ${hex(now)}; under way: ${pending.map(describe).join(', ') || 'nothing'}`,
    );
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

  /**
   * Checks a blob that no acknowledged operation has made: one under way must have made it, and it must be complete.
   */
  #compareNew(key: string, blob: FoundBlob): void {
    const expected = this.#underWay(key, blob.id);
    if (expected === undefined) this.#find(`blob ${key} is there, which was deleted or never made`);
    else this.#compareMade(key, blob, expected);
  }

  #underWay(key: string, id: bigint): KnownBlob | undefined {
    for (const operation of this.#pending.values()) {
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
    for (const operation of this.#pending.values()) {
      if (operation.kind !== 'flushStore' && operation.key === key) on.push(operation);
    }
    return on;
  }

  #operation(number: number): Operation {
    const pending = this.#pending.get(number);
    if (pending === undefined) throw new Error(`operation ${number} has ended, and not begun`);
    return pending;
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

/** The offset of the first byte that is neither expected nor written by a change under way; -1 if there is none. */
function differenceAt(found: Uint8Array, expected: Uint8Array, changes: readonly DataOperation[]): number {
  if (Buffer.compare(found, expected) === 0) return -1;
  for (let at = 0; at < found.length; at++) {
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
