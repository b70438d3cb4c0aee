/** Uploads far larger than what the gateway may hold: made as they go, digested where they arrive, and kept by nobody on the way. */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { request } from 'node:http'
import type { ClientRequest, IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { setVendorStage } from './model-vendors.ts'
import type { VendorStage } from './model-vendors.ts'
import { serverUnderTest } from './server-under-test.ts'

const MB = 1024 * 1024
/** `SALLYPORT_TEST_UPLOAD_MB` says another size. */
const UPLOAD_MB = Number(process.env['SALLYPORT_TEST_UPLOAD_MB'] ?? 200)
/** What the process may grow by, whatever the size: less than the smallest upload here, and more than what lies about until it is collected. */
const MOST_GROWTH = 176 * MB

let stage: VendorStage
beforeAll(async () => {
  stage = await setVendorStage({
    postgresUrl: serverUnderTest(inject('postgresUrl')),
    variables: { SALLYPORT_MODELS_MAX_REQUEST_BYTES: String(2 * 1024 * MB) },
  })
})
afterAll(() => stage?.close())

/** No two are alike, so that none can stand for another. */
function pieceOf(number: number): Buffer {
  const piece = Buffer.alloc(MB, number % 251)
  piece.writeUInt32BE(number)
  return piece
}

async function residentBytes(): Promise<number> {
  const status = await readFile(`/proc/${stage.gateway.pid}/status`, 'utf8')
  return Number(/^VmRSS:\s+(?<kb>\d+) kB$/mu.exec(status)!.groups!['kb']) * 1024
}

const BOUNDARY = 'between-the-parts'
const HEAD = Buffer.from(
  `--${BOUNDARY}\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n` +
    `--${BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="large.bin"\r\nContent-Type: application/octet-stream\r\n\r\n`,
)
const TAIL = Buffer.from(`\r\n--${BOUNDARY}--\r\n`)

function post(more: Record<string, string | number>): ClientRequest {
  return request(`${stage.gateway.url}/llm/openai/v1/files`, {
    method: 'POST',
    headers: { authorization: `Bearer ${stage.key}`, 'content-type': `multipart/form-data; boundary=${BOUNDARY}`, ...more },
  })
}

async function textOf(response: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = []
  for await (const piece of response) pieces.push(piece as Buffer)
  return Buffer.concat(pieces).toString()
}

describe('a very large upload', () => {
  it(
    `D-06 of ${UPLOAD_MB} MB arrives with every byte of it, and passes through a gateway that keeps little of it`,
    { timeout: 120_000 + UPLOAD_MB * 500 },
    async () => {
      const hash = createHash('sha256')
      const before = await residentBytes()
      let most = before
      async function* body(): AsyncGenerator<Buffer> {
        yield HEAD
        for (let number = 0; number < UPLOAD_MB; number++) {
          const piece = pieceOf(number)
          hash.update(piece)
          yield piece
          most = Math.max(most, await residentBytes())
        }
        yield TAIL
      }
      const call = post({ 'content-length': HEAD.length + UPLOAD_MB * MB + TAIL.length })
      Readable.from(body()).pipe(call)
      const [response] = (await once(call, 'response')) as [IncomingMessage]
      expect([response.statusCode, JSON.parse(await textOf(response))]).toMatchObject([
        200,
        { bytes: UPLOAD_MB * MB, sha256: hash.digest('hex'), purpose: 'batch' },
      ])
      expect(most - before).toBeLessThan(MOST_GROWTH)
    },
  )

  it('whose sender goes away in its midst is let go at the vendor, which has a part of it and no end', async () => {
    const reached = stage.upstream.seen.length
    const call = post({ 'transfer-encoding': 'chunked' })
    call.on('error', () => undefined)
    call.write(Buffer.concat([HEAD, ...[0, 1, 2, 3].map(pieceOf)]))
    await expect.poll(() => stage.upstream.seen[reached]?.bytes ?? 0).toBeGreaterThan(MB)
    call.destroy()
    const seen = stage.upstream.seen[reached]!
    expect(await seen.over).toBe(true)
    await seen.read
    expect(seen.bytes).toBeLessThanOrEqual(HEAD.length + 4 * MB)
  })
})
