/** The same transfers without the engine: system calls on the store's file, or copies within its memory. */

import fs from 'node:fs';
import type { BarePlace } from '../ground.js';
import { forEachOperation, type Job } from '../job.js';
import { TransferPlan, type TransferWork, wordsOf } from '../transfer-plan.js';

type Move = (isWrite: boolean, buffer: Buffer, offset: number) => void;

export function bareJob(place: BarePlace, work: TransferWork): Job {
  const { move, close } = place.memory ? inMemory(place.memory, place.start) : onFile(place.path ?? '', place.start);
  const plan = new TransferPlan(work);
  const buffer = Buffer.from(new SharedArrayBuffer(work.transferBytes));
  const words = wordsOf(buffer);
  const run: Job['run'] = (share) => {
    let sum = 0;
    forEachOperation(share, (operation) => {
      const offset = plan.offsetOf(operation);
      const isWrite = plan.isWrite(operation);
      if (isWrite) plan.stamp(words, offset);
      move(isWrite, buffer, offset);
      sum = (sum + plan.check(words, offset)) | 0;
    });
    return sum;
  };
  return { run, close };
}

function onFile(path: string, start: number): { move: Move; close: () => void } {
  const fd = fs.openSync(path, 'r+');
  const move: Move = (isWrite, buffer, offset) => {
    const moved = isWrite
      ? fs.writeSync(fd, buffer, 0, buffer.length, start + offset)
      : fs.readSync(fd, buffer, 0, buffer.length, start + offset);
    if (moved !== buffer.length) throw new Error(`a call moved ${moved} bytes instead of ${buffer.length}`);
  };
  return { move, close: () => fs.closeSync(fd) };
}

function inMemory(memory: SharedArrayBuffer, start: number): { move: Move; close: () => void } {
  const all = Buffer.from(memory, start);
  const move: Move = (isWrite, buffer, offset) => {
    if (isWrite) buffer.copy(all, offset);
    else all.copy(buffer, 0, offset, offset + buffer.length);
  };
  return { move, close: () => undefined };
}
