/** The runbook of docs/keys-sources.md, "From the environment to a KMS", carried out; with a device too, where the settings differ and nothing else. */
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, it } from 'vitest'
import { configFor, setStage, startAws, startGatewayProcess, startSoftHsm } from '@sallyport/testkit'
import type { GatewayProcess } from '@sallyport/testkit'

const MAIN = join(import.meta.dirname, '../../packages/server/src/main.ts')

const cleanups: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup()
})

type Variables = Readonly<Record<string, string>>

interface Holder {
  /** What a gateway needs to ask it, and the id of its root key. */
  readonly settings: Variables
  readonly wrapper: string
  readonly rootKeyId: string
  /** Must not be seen. */
  readonly secret: string
}

async function kms(): Promise<Holder> {
  const aws = await startAws()
  cleanups.push(() => aws.close())
  const arn = aws.createKey()
  const settings = {
    SALLYPORT_KEYS_AWS_KMS_KEYS: arn,
    SALLYPORT_KEYS_AWS_KMS_ENDPOINT: aws.endpoint,
    SALLYPORT_KEYS_AWS_ACCESS_KEY_ID: aws.accessKeyId,
    SALLYPORT_KEYS_AWS_SECRET_ACCESS_KEY: aws.secretAccessKey,
  }
  return { settings, wrapper: 'aws-kms', rootKeyId: `aws-kms.${arn.split('/')[1]}`, secret: aws.secretAccessKey }
}

async function device(): Promise<Holder> {
  const hsm = await startSoftHsm()
  cleanups.push(() => hsm.close())
  await hsm.makeKey('root-2026')
  const settings = {
    ...hsm.environment,
    SALLYPORT_KEYS_PKCS11_MODULE: hsm.module,
    SALLYPORT_KEYS_PKCS11_TOKEN_LABEL: hsm.label,
    SALLYPORT_KEYS_PKCS11_PIN: hsm.pin,
    SALLYPORT_KEYS_PKCS11_KEYS: 'root-2026',
  }
  return { settings, wrapper: 'pkcs11', rootKeyId: 'pkcs11.root-2026', secret: hsm.pin }
}

/** Four gateways and four commands, one after the other. */
const LIMIT = { timeout: 180_000 }

it(
  'root keys move from the environment to a KMS step by step: every call in between is answered, and the old key can go',
  LIMIT,
  async () => {
    await moveTo(await kms())
  },
)

it(
  'root keys move from the environment to a device step by step: every call in between is answered, and the old key can go',
  LIMIT,
  async () => {
    await moveTo(await device())
  },
)

async function moveTo({ settings, wrapper, rootKeyId, secret }: Holder): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'sallyport-moving-'))
  cleanups.push(() => rm(folder, { recursive: true, force: true, maxRetries: 10 }))
  const dataDir = join(folder, 'data')
  const hex = randomBytes(32).toString('hex')
  const environment: Variables = { SALLYPORT_ENCRYPTION_KEYS: `env-1:${hex}` }
  const wrapping: Variables = { ...settings, SALLYPORT_KEYS_WRAPPER: wrapper }

  const stage = await setStage({ dataDir, variables: environment })
  cleanups.push(() => stage.close())
  stage.upstream.answer((_request, response) => void response.end('from the provider'))
  expect((await stage.call('/x')).status).toBe(200)
  await stage.gateway.stop()

  const withGateway = async (variables: Variables, use: (gateway: GatewayProcess) => Promise<void> = async () => {}): Promise<string> => {
    const gateway = await startGatewayProcess({ dataDir, variables, file: configFor(stage.issuer, stage.upstream) })
    try {
      const headers = { authorization: `Bearer ${stage.key}`, 'sallyport-connection': stage.connection }
      expect((await fetch(`${gateway.url}/proxy/api/x`, { headers })).status).toBe(200)
      await use(gateway)
    } finally {
      await gateway.stop()
    }
    return gateway.output()
  }
  const keys = (variables: Variables, ...words: string[]) =>
    sallyport(folder, { ...variables, SALLYPORT_DATA_DIR: dataDir }, ['keys', ...words])

  // 1. Every node learns to ask; the environment's key still wraps.
  await withGateway({ ...environment, ...settings })
  // 2. The other wraps. What is under the environment's key follows.
  await withGateway({ ...environment, ...wrapping })
  const rotated = await keys({ ...environment, ...wrapping }, 'rotate', 'root', '--json')
  expect([rotated.code, rotated.stdout]).toEqual([0, expect.stringContaining(`"to": "${rootKeyId}"`)])
  expect(JSON.parse(rotated.stdout)).toMatchObject({ unreadable: 0, left: { 'env-1': 0 } })
  const verified = await keys({ ...environment, ...wrapping }, 'verify', '--json')
  expect([verified.code, JSON.parse(verified.stdout)]).toEqual([0, expect.objectContaining({ faults: [] })])
  // 3. The old key goes out of the database, and out of the environment.
  expect((await keys({ ...environment, ...wrapping }, 'remove', 'env-1')).code).toBe(0)
  const output = await withGateway(wrapping)
  for (const hidden of [hex, secret]) expect(output).not.toContain(hidden)
  const status = await keys(wrapping, 'status', '--json')
  expect(JSON.parse(status.stdout)).toMatchObject({ root_keys: [{ id: rootKeyId, primary: true }] })
}

interface Ended {
  readonly code: number
  readonly stdout: string
}

function sallyport(cwd: string, variables: Variables, args: readonly string[]): Promise<Ended> {
  const env = { PATH: process.env['PATH'], SALLYPORT_MODE: 'development', SALLYPORT_LOG_LEVEL: 'silent', ...variables }
  return new Promise((resolve) => {
    execFile(process.execPath, ['--disable-warning=ExperimentalWarning', MAIN, ...args], { cwd, env }, (error, stdout) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : 0, stdout })
    })
  })
}
