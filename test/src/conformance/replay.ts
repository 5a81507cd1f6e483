/** Replays a trace, and finds the first answer that differs from the expected one. */

import { isDeepStrictEqual } from 'node:util';
import type { Engine } from './engine.js';
import { Session } from './session.js';
import type { Answer, Trace, TraceOperation } from './trace.js';

export interface Mismatch {
  trace: string;
  /** Line of the trace, from 1. */
  line: number;
  operation: TraceOperation;
  wanted: Answer;
  got: Answer | string;
}

export interface ReplayOptions {
  /**
   * Also checks after every operation that the pages and clusters in memory are consistent. Not for traces that damage
   * the disk.
   */
  verify?: boolean;
}

/** Replays a trace on an engine. Returns the first difference, or undefined if there is none. */
export async function replay(trace: Trace, engine: Engine, options: ReplayOptions = {}): Promise<Mismatch | undefined> {
  const session = new Session(engine, largestDevice(trace));
  try {
    return await compare(trace, session, options);
  } finally {
    await session.end();
  }
}

async function compare(trace: Trace, session: Session, options: ReplayOptions): Promise<Mismatch | undefined> {
  const verify = options.verify === true && !trace.operations.some(({ op }) => op === 'corrupt');
  for (const [index, operation] of trace.operations.entries()) {
    const wanted = trace.expected[index];
    let got: Answer | string;
    try {
      got = await session.execute(operation);
      if (verify) await session.verify(operation.op);
    } catch (error) {
      got = error instanceof Error ? (error.stack ?? error.message) : String(error);
    }
    if (!isDeepStrictEqual(got, wanted)) return { trace: trace.name, line: index + 1, operation, wanted, got };
  }
  return undefined;
}

/** The largest size that the device of a trace ever has, in bytes. */
function largestDevice({ operations }: Trace): number {
  let blockLengthBytes = 0;
  let largest = 0;
  for (const { op, blocklen = 0, blockcnt = 0 } of operations) {
    if (op === 'device') blockLengthBytes = blocklen;
    if (op === 'device' || op === 'resize_device') largest = Math.max(largest, blockLengthBytes * blockcnt);
  }
  return largest;
}

/** A mismatch as text for people. */
export function describeMismatch({ trace, line, operation, wanted, got }: Mismatch): string {
  const answer = typeof got === 'string' ? got : JSON.stringify(got);
  return [
    `${trace}:${line}: ${JSON.stringify(operation)}`,
    `  wanted ${JSON.stringify(wanted)}`,
    `  got    ${answer}`,
  ].join('\n');
}
