/** The engines that traces can be replayed on, by name. */

import { AttachedEngine } from './attached-engine.js';
import type { Engine } from './engine.js';
import { InlineEngine } from './inline-engine.js';

export const ENGINES = {
  /** Everything on one thread. */
  inline: () => new InlineEngine(),
  /** Each channel on a thread of its own that has attached. */
  attached: () => new AttachedEngine(),
} satisfies Record<string, () => Engine>;

export type EngineName = keyof typeof ENGINES;
export const ENGINE_NAMES = Object.keys(ENGINES) as EngineName[];

export function isEngineName(name: string): name is EngineName {
  return Object.hasOwn(ENGINES, name);
}
