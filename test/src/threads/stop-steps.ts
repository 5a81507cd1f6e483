/** Makes a thread stop at a step inside the critical sections in which clusters are claimed and unclaimed. */

import type { SharedStore } from '@blobyard/core';
import { Gate } from './gate.js';

/** The steps after which the thread can stop, with the used lock held, in the order of claiming and unclaiming. */
export const CLAIM_STEPS = ['entry noted', 'cluster bit set', 'cluster taken', 'page taken'] as const;
export const UNCLAIM_STEPS = [
  'cluster bit cleared',
  'cluster given back',
  'page given back',
  'entry forgotten',
] as const;

export type StopStep = (typeof CLAIM_STEPS)[number] | (typeof UNCLAIM_STEPS)[number];

export function stopAt(shared: SharedStore, step: StopStep, gateBuffer: SharedArrayBuffer): void {
  const gate = new Gate(gateBuffer);
  const { clusters, pages, claims } = shared;
  if (claims === undefined) throw new Error('this thread has no claim log');
  const stops: Record<StopStep, () => void> = {
    'entry noted': () => after(claims, 'note', gate),
    'cluster bit set': () => before(Atomics, 'sub', gate), // the count is what is changed next
    'cluster taken': () => after(clusters, 'take', gate),
    'page taken': () => after(pages, 'claim', gate),
    'cluster bit cleared': () => within(clusters, 'free', () => before(Atomics, 'add', gate)),
    'cluster given back': () => after(clusters, 'free', gate),
    'page given back': () => after(pages, 'release', gate),
    'entry forgotten': () => after(claims, 'forget', gate),
  };
  stops[step]();
}

type Method = (...args: unknown[]) => unknown;

function replace<T extends object>(target: T, name: keyof T, make: (original: Method) => Method): void {
  const original = target[name] as Method;
  Object.defineProperty(target, name, { value: make(original.bind(target)), configurable: true, writable: true });
}

function after<T extends object>(target: T, name: keyof T, gate: Gate): void {
  replace(target, name, (original) => (...args) => {
    const result = original(...args);
    gate.pass();
    return result;
  });
}

function before<T extends object>(target: T, name: keyof T, gate: Gate): void {
  const { add, sub } = Atomics; // the gate itself needs the original functions
  replace(target, name, (original) => (...args) => {
    Object.assign(Atomics, { add, sub });
    gate.pass();
    return original(...args);
  });
}

/** Calls `prepare` when a method is called. */
function within<T extends object>(target: T, name: keyof T, prepare: () => void): void {
  replace(target, name, (original) => (...args) => {
    prepare();
    return original(...args);
  });
}
