/** Wraps what the methods of a service return or throw into envelopes, so that errors keep their codes. */

import { type Envelope, toWire } from '../threads/wire-error.js';

type Method = (...given: never[]) => Promise<unknown>;

/** The names of the methods of a service. */
export type MethodOf<Service> = {
  [Name in keyof Service]: Service[Name] extends Method ? Name : never;
}[keyof Service] &
  string;

export type Given<Service, Name extends MethodOf<Service>> = Service[Name] extends (...given: infer G) => unknown
  ? G
  : never;

export type Answer<Service, Name extends MethodOf<Service>> = Service[Name] extends (
  ...given: never[]
) => Promise<infer A>
  ? A
  : never;

export type Enveloped = Record<string, (...given: unknown[]) => Promise<Envelope<unknown>>>;

/** An object with the methods of a service, each of which resolves to an envelope. */
export function enveloped(service: object): Enveloped {
  const methods: Enveloped = {};
  for (const [name, method] of Object.entries(service) as [string, (...given: unknown[]) => Promise<unknown>][]) {
    methods[name] = async (...given) => {
      try {
        return { ok: await method(...given) };
      } catch (error) {
        return { error: toWire(error) };
      }
    };
  }
  return methods;
}
