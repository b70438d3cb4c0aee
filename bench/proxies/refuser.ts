/** Owns the least that Node can do to refuse a request: one prepared answer of the size that the gateway gives, to everything. Reads and judges nothing. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

const BODY = 'x'.repeat(240)
/** As many and as long as the gateway's. */
const HEADERS = Array.from({ length: 18 }, (_, n) => [`x-some-header-of-it-${n}`, 'of thirty characters in length']).flat()

const server = createServer((_request, response) => {
  response.writeHead(401, [...HEADERS, 'content-length', String(BODY.length)])
  response.end(BODY)
})
server.listen(0, '127.0.0.1', () => process.send?.({ type: 'ready', port: (server.address() as AddressInfo).port }))
process.on('disconnect', () => process.exit(0))
