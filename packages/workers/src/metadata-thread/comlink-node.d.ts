/** Comlink's adapter for Node.js: its own declarations are beside a file that does not load. */

declare module 'comlink/dist/esm/node-adapter.mjs' {
  import type { MessagePort } from 'node:worker_threads';
  import type { Endpoint } from 'comlink';

  function nodeEndpoint(port: MessagePort): Endpoint;

  // biome-ignore lint/style/noDefaultExport: so it is there
  export { nodeEndpoint as default };
}
