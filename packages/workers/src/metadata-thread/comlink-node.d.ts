/**
 * Types of Comlink's adapter for Node.js. Comlink's own declarations are for another file of it, which cannot be
 * loaded.
 */

declare module 'comlink/dist/esm/node-adapter.mjs' {
  import type { MessagePort } from 'node:worker_threads';
  import type { Endpoint } from 'comlink';

  function nodeEndpoint(port: MessagePort): Endpoint;

  // biome-ignore lint/style/noDefaultExport: the module has a default export
  export { nodeEndpoint as default };
}
