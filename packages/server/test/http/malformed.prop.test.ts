/**
 * Broken requests by the hundred over real sockets: each gets an answer below 500 or a closed connection, and the server goes on (G5). By the hundred
 * thousand with SALLYPORT_TEST_MALFORMED=100000, which takes minutes: then it says what the process held before and after.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, inject, it } from 'vitest'
import { createWorld, send } from './world.ts'
import type { World } from './world.ts'

const BESIDE_EACH_OTHER = 8
const ORDINARY = 480
const REQUESTS = Number(process.env['SALLYPORT_TEST_MALFORMED'] ?? ORDINARY)
const seed = Date.now()
let world: World
let consoleFolder: string
beforeAll(async () => {
  consoleFolder = await mkdtemp(join(tmpdir(), 'sallyport-console-'))
  await writeFile(join(consoleFolder, 'index.html'), '<!doctype html><title>console</title>')
  world = await createWorld(inject('postgresUrl'), { consoleFolder, limits: { headersTimeoutMs: 1_000, requestTimeoutMs: 1_000 } })
})
afterAll(async () => {
  await world?.close()
  await rm(consoleFolder, { recursive: true, force: true, maxRetries: 10 })
})

const piece = fc.constantFrom(
  '\r\n',
  '\n',
  '\r',
  '\0',
  ' ',
  '\t',
  ':',
  ',',
  ';',
  '%00',
  '%2e%2e/',
  '../',
  '\\',
  '//',
  '?',
  '#',
  '{',
  '"',
  '\ud800',
  'é',
  'x'.repeat(300),
  '0',
  '-1',
  'chunked',
  'identity',
)
const path = fc.oneof(
  fc.constantFrom(
    '/api/v1/whoami',
    '/api/v1/session',
    '/api/v1/orgs/',
    '/docs/',
    '/console/',
    '/connect/',
    '/oauth/cb/',
    '/openapi.json',
    '/readyz',
    '*',
  ),
  fc.array(piece, { maxLength: 6 }).map((parts) => `/${parts.join('')}`),
)
const header = fc.tuple(
  fc.constantFrom(
    'authorization',
    'cookie',
    'content-type',
    'content-length',
    'transfer-encoding',
    'origin',
    'expect',
    'x-forwarded-for',
    'host',
    'upgrade',
    'connection',
    'accept',
  ),
  fc.oneof(
    fc.array(piece, { maxLength: 3 }).map((parts) => parts.join('')),
    fc.constantFrom('Bearer x', 'application/json', '5', '100-continue', 'websocket', 'keep-alive'),
  ),
)
const request = fc
  .record({
    method: fc.constantFrom('GET', 'POST', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS', 'CONNECT', 'PRI', 'get', ''),
    path,
    version: fc.constantFrom('HTTP/1.1', 'HTTP/1.0', 'HTTP/2.0', 'HTTP/9', ''),
    headers: fc.array(header, { maxLength: 6 }),
    body: fc.oneof(
      fc.constant(''),
      fc.array(piece, { maxLength: 5 }).map((parts) => parts.join('')),
      fc.json(),
    ),
  })
  .map(
    ({ method, path, version, headers, body }) =>
      `${method} ${path} ${version}\r\nhost: x\r\n${headers.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n${body}`,
  )

/** Everything that came back until the connection ended; our side ends right after sending. */
function exchange(bytes: Buffer): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(world.port, '127.0.0.1')
    const chunks: Buffer[] = []
    socket.on('data', (chunk: Buffer) => chunks.push(chunk))
    // A reset is an answer too: what was sent was not worth one.
    socket.on('error', () => undefined)
    socket.once('close', () => resolve(Buffer.concat(chunks).toString('latin1')))
    socket.end(bytes)
  })
}

const heldMb = () => Math.round(process.memoryUsage().rss / 1024 ** 2)

it(`G5 answers no malformed request with a failure of its own (seed ${seed})`, { timeout: 60_000 + REQUESTS * 20 }, async () => {
  const [before, began] = [heldMb(), performance.now()]
  await fc.assert(
    fc.asyncProperty(fc.array(request, { minLength: BESIDE_EACH_OTHER, maxLength: BESIDE_EACH_OTHER }), async (texts) => {
      for (const answer of await Promise.all(texts.map((text) => exchange(Buffer.from(text, 'utf8'))))) {
        const statuses = [...answer.matchAll(/^HTTP\/1\.1 (\d{3})/gmu)].map(([, status]) => Number(status))
        expect(statuses.filter((status) => status >= 500)).toEqual([])
      }
    }),
    { seed, numRuns: Math.ceil(REQUESTS / BESIDE_EACH_OTHER) },
  )
  expect((await send(world, '/healthz')).status).toBe(200)
  expect(world.log.filter((line) => line.includes('"level":"error"'))).toEqual([])
  if (REQUESTS > ORDINARY) {
    const seconds = Math.round((performance.now() - began) / 1000)
    process.stdout.write(`${REQUESTS} malformed requests in ${seconds} s: ${before} MB held before, ${heldMb()} MB after\n`)
  }
})
