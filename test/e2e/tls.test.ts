/** A gateway that ends TLS itself, as a process with its files, and as a client that verifies it. */
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { GatewayRefused, startGatewayProcess } from '@sallyport/testkit'
import type { GatewayProcess } from '@sallyport/testkit'
import { makeCertificate } from '../../packages/core/test/http/certificates.ts'

const root = makeCertificate({ subject: 'Test Root', authority: true })
const DAY_MS = 86_400_000
const leafOf = (more: { notBefore?: Date; notAfter?: Date } = {}) =>
  makeCertificate({ subject: 'gateway.test', names: ['gateway.test'], issuer: root, ...more })

let folder: string
let gateway: GatewayProcess
const settings = () => ({ SALLYPORT_TLS_CERT_FILE: join(folder, 'cert.pem'), SALLYPORT_TLS_KEY_FILE: join(folder, 'key.pem') })
const writePair = async ({ cert, key }: { cert: string; key: string }): Promise<void> => {
  await writeFile(join(folder, 'cert.pem'), cert)
  await writeFile(join(folder, 'key.pem'), key)
}
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sallyport-tls-'))
  await writePair(leafOf())
  gateway = await startGatewayProcess({ variables: settings() })
})
afterAll(async () => {
  await gateway?.stop()
  await rm(folder, { recursive: true, maxRetries: 10 })
})

function ask(path: string): Promise<{ status: number | undefined; transport: string | undefined }> {
  return new Promise((resolve, reject) => {
    const asked = request({ host: '127.0.0.1', port: gateway.port, path, servername: 'gateway.test', ca: root.cert, agent: false })
    asked.on('error', reject)
    asked.on('response', (response) => {
      response.resume()
      resolve({ status: response.statusCode, transport: response.headers['strict-transport-security'] })
    })
    asked.end()
  })
}

describe('a gateway with a certificate', () => {
  it('X-02 is reached by https alone, and says so', async () => {
    expect(gateway.url).toBe(`https://127.0.0.1:${gateway.port}`)
    expect(await ask('/readyz')).toEqual({ status: 200, transport: 'max-age=31536000' })
    expect(await ask('/api/v1/whoami')).toEqual({ status: 401, transport: 'max-age=31536000' })
    await expect(fetch(`http://127.0.0.1:${gateway.port}/readyz`)).rejects.toThrow()
    expect(await gateway.stop()).toBe(0)
  })

  it('X-02 does not start with one that has ended, and doctor says why before', async () => {
    await writePair(leafOf({ notBefore: new Date(Date.now() - 2 * DAY_MS), notAfter: new Date(Date.now() - DAY_MS) }))
    const refused = await startGatewayProcess({ variables: settings() }).catch((error: unknown) => error)
    if (!(refused instanceof GatewayRefused)) throw new Error('it started')
    expect(refused.exitCode).toBe(4)
    expect(refused.output).toContain('has ended')
    expect(refused.output).not.toMatch(/PRIVATE KEY|\n\s+at /u)
    const env = { PATH: process.env['PATH'], SALLYPORT_MODE: 'development', SALLYPORT_CONFIG: join(folder, 'none.yaml'), ...settings() }
    await writeFile(join(folder, 'none.yaml'), '')
    const main = join(import.meta.dirname, '../../packages/server/src/main.ts')
    const { stdout } = await promisify(execFile)(process.execPath, [main, 'doctor', '--json'], { env })
    expect((JSON.parse(stdout) as Record<string, string>)['health.tls']).toContain('has ended')
  })
})
