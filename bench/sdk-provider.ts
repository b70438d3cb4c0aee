/**
 * A provider for the benchmark of the SDK, in a process of its own: it gives tokens without asking anybody, and answers of one kilobyte. Prints its origin.
 *
 *   GET /plain    may not be kept      GET /kept    is good for an hour      GET /tagged    has an ETag, and is confirmed by it
 */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

const BODY = JSON.stringify({ text: 'x'.repeat(1013) })
const TOKENS = JSON.stringify({ access_token: 'a-token-of-the-benchmark', token_type: 'bearer', expires_in: 86_400 })
const ACCOUNT = JSON.stringify({ sub: 'bench', email: null })
const CACHING: Readonly<Record<string, Record<string, string>>> = {
  '/plain': { 'cache-control': 'no-store' },
  '/kept': { 'cache-control': 'max-age=3600' },
  '/tagged': { etag: '"v1"' },
}

const server = createServer((request, response) => {
  request.resume()
  const path = request.url!
  const json = { 'content-type': 'application/json' }
  if (path === '/token') response.writeHead(200, json).end(TOKENS)
  else if (path === '/me') response.writeHead(200, json).end(ACCOUNT)
  else if (path === '/tagged' && request.headers['if-none-match'] === '"v1"') response.writeHead(304, { etag: '"v1"' }).end()
  else response.writeHead(200, { ...json, ...CACHING[path] }).end(BODY)
})
server.listen(0, '127.0.0.1', () => process.send!(`http://127.0.0.1:${(server.address() as AddressInfo).port}`))
process.once('disconnect', () => process.exit())
