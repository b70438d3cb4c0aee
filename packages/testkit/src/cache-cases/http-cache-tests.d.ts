/** The parts of http-cache-tests that are used: its cases, and the server that answers them. */
declare module 'http-cache-tests/tests/index.mjs' {
  import type { CacheSuite } from './cases.ts'
  const suites: readonly CacheSuite[]
  export default suites
}
declare module 'http-cache-tests/server/handle-test.mjs' {
  import type { IncomingMessage, ServerResponse } from 'node:http'
  export default function handleTest(path: readonly string[], request: IncomingMessage, response: ServerResponse): void
}
declare module 'http-cache-tests/server/utils.mjs' {
  export const configs: Map<string, unknown>
  export const stash: Map<string, unknown>
}
