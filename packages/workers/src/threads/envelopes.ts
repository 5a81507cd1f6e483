/** Puts what all methods of a service answer, and what they throw, into envelopes, so that errors keep their code. */

import { type Envelope, toWire } from './wire-error.js';

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

type Methods = Record<string, (...given: unknown[]) => Promise<unknown>>;

/** An object with the methods of a service, its class's and those of what that extends, each of which resolves to an envelope. */
export function enveloped(service: object): Enveloped {
  const methods: Enveloped = {};
  for (const name of methodNames(service)) {
    const method = (service as Methods)[name];
    methods[name] = async (...given) => {
      try {
        return { ok: await method.apply(service, given) };
      } catch (error) {
        return { error: toWire(error) };
      }
    };
  }
  return methods;
}

function methodNames(service: object): string[] {
  const names: string[] = [];
  for (let at = Object.getPrototypeOf(service); at !== Object.prototype; at = Object.getPrototypeOf(at)) {
    for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(at))) {
      if (typeof value === 'function' && name !== 'constructor') names.push(name);
    }
  }
  return names;
}
