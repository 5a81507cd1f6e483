/** The engines that traces can be replayed on, by name. */

import { openAttached } from './attached-channel.js';
import type { Engine } from './engine.js';
import { InlineEngine } from './inline-engine.js';
import { openRing } from './ring-channel.js';
import { ThreadedEngine } from './threaded-engine.js';

export const ENGINES = {
  /** The store and all channels on one thread. */
  inline: () => new InlineEngine(),
  /** Each channel on an I/O worker of its own. */
  threads: () => new ThreadedEngine(openRing),
  /** Each channel on an attached thread of its own. */
  attached: () => new ThreadedEngine(openAttached),
} satisfies Record<string, () => Engine>;

export type EngineName = keyof typeof ENGINES;
export const ENGINE_NAMES = Object.keys(ENGINES) as EngineName[];

export function isEngineName(name: string): name is EngineName {
  return Object.hasOwn(ENGINES, name);
}
