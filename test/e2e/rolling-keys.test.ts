/** The runbook of docs/keys.md, "scheduled rotation of a root key", carried out with two nodes that restart one after the other. */
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from 'pg'
import { afterEach, expect, inject, it } from 'vitest'
import { configFor, setStage, startGatewayProcess } from '@sallyport/testkit'
import type { GatewayProcess } from '@sallyport/testkit'

const MAIN = join(import.meta.dirname, '../../packages/server/src/main.ts')

const cleanups: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup()
})

// Nine processes one after the other.
it('C-07 S65 two nodes get a new root key by rolling restarts: with different current keys meanwhile, no call fails, and the old key can go', async () => {
  const [r1, r2] = ['r1', 'r2'].map((id) => `${id}:${randomBytes(32).toString('hex')}`) as [string, string]
  const first = await setStage({ postgresUrl: inject('postgresUrl'), variables: { SALLYPORT_ENCRYPTION_KEYS: r1 } })
  cleanups.push(() => first.close())
  const { issuer, upstream, key, connection } = first
  upstream.answer((_request, response) => void response.end('from the provider'))
  const database = first.gateway.database
  const rows = async (sql: string): Promise<Record<string, unknown>[]> => {
    const client = new Client({ connectionString: first.gateway.databaseUrl! })
    await client.connect()
    try {
      return (await client.query<Record<string, unknown>>(sql)).rows
    } finally {
      await client.end()
    }
  }
  const node = async (rootKeys: string): Promise<GatewayProcess> => {
    const variables = { ...database, SALLYPORT_ENCRYPTION_KEYS: rootKeys }
    const gateway = await startGatewayProcess({ variables, file: configFor(issuer, upstream) })
    cleanups.push(() => gateway.stop())
    return gateway
  }
  const wrappers = async (): Promise<unknown[]> =>
    (await rows(`select distinct root_key_id as id from sallyport.data_key where status <> 'destroyed' order by 1`)).map(({ id }) => id)
  const call = (gateway: Pick<GatewayProcess, 'url'>): Promise<Response> =>
    fetch(`${gateway.url}/proxy/api/x`, { headers: { authorization: `Bearer ${key}`, 'sallyport-connection': connection } })

  /** Calls to whichever node is not being restarted, one after the other, all the time. */
  const load = { on: first.gateway, answered: 0, failed: [] as (number | string)[], running: true }
  const ended = (async () => {
    while (load.running) {
      const outcome = await call(load.on).then(
        ({ status }) => status,
        (error: unknown) => String(error),
      )
      if (outcome === 200) load.answered += 1
      else load.failed.push(outcome)
    }
  })()
  cleanups.push(() => ((load.running = false), ended))
  /** A node is asked at once when it listens: nothing is in its memory then, so that it has to unwrap and open for itself. */
  const asked = async (gateway: GatewayProcess): Promise<GatewayProcess> => {
    expect((await call(gateway)).status).toBe(200)
    return gateway
  }
  /** Whoever sends on an idle connection just when its end is closed hears no answer, as with any server: what is restarted is called no more. */
  const callsGoTo = async (gateway: GatewayProcess): Promise<void> => {
    load.on = gateway
    const before = load.answered
    await expect.poll(() => load.answered, { timeout: 20_000 }).toBeGreaterThan(before + 5)
  }
  const replace = async (old: GatewayProcess, other: GatewayProcess, rootKeys: string): Promise<GatewayProcess> => {
    await callsGoTo(other)
    expect(await old.stop()).toBe(0)
    return asked(await node(rootKeys))
  }

  // 1. Both nodes with the old key. 2. Both get to know the new one, which wraps nothing yet.
  let [a, b] = [first.gateway, await asked(await node(r1))]
  a = await replace(a, b, `${r1},${r2}`)
  b = await replace(b, a, `${r1},${r2}`)
  expect(await wrappers()).toEqual(['r1'])

  // 3. One node puts it first, and rewraps by itself; the other still has the old one first. Both open, both seal, neither undoes the other.
  a = await replace(a, b, `${r2},${r1}`)
  await expect.poll(wrappers, { timeout: 20_000 }).toEqual(['r2'])
  b = await replace(b, a, `${r1},${r2}`)
  for (const gateway of [a, b]) await callsGoTo(gateway)
  expect(await wrappers()).toEqual(['r2'])
  // A data key that came of age meanwhile is renewed by whichever node looks next, and the records follow.
  await rows(`update sallyport.data_key set created_at = now() - interval '91 days'`)
  b = await replace(b, a, `${r2},${r1}`)
  const under = `select k.status, count(v.*)::int as records from sallyport.data_key k
    left join sallyport.credential_version v on v.sealed_under = k.id group by k.status order by k.status`
  await expect
    .poll(() => rows(under), { timeout: 20_000 })
    .toEqual([
      { status: 'current', records: 1 },
      { status: 'previous', records: 0 },
    ])

  // 4. The command reports that nothing is left. 5. The old key goes out of the configuration, and is forgotten.
  const environment = { ...database, SALLYPORT_MODE: 'development', SALLYPORT_LOG_LEVEL: 'silent' }
  const keys = (rootKeys: string, ...words: string[]) =>
    sallyport({ ...environment, SALLYPORT_ENCRYPTION_KEYS: rootKeys }, ['keys', ...words])
  expect(await keys(`${r2},${r1}`, 'rotate', 'root')).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('Nothing is under r1 any more') as string,
  })
  a = await replace(a, b, r2)
  b = await replace(b, a, r2)
  expect(await keys(r2, 'remove', 'r1')).toMatchObject({ code: 0 })
  expect(await keys(r2, 'verify', '--json')).toMatchObject({ code: 0 })
  expect(await rows('select id from sallyport.root_key')).toEqual([{ id: 'r2' }])

  load.running = false
  await ended
  expect(load.failed).toEqual([])
  expect(load.answered).toBeGreaterThan(50)
  expect([a, b].map((gateway) => gateway.output()).join('\n')).not.toMatch(/root_key_(?:missing|wrong)/u)
  expect(
    await rows(`select action, target from sallyport.audit_event where action in ('root_key.added', 'root_key.removed') order by seq`),
  ).toEqual([
    { action: 'root_key.added', target: 'r1' },
    { action: 'root_key.added', target: 'r2' },
    { action: 'root_key.removed', target: 'r1' },
  ])
}, 240_000)

interface Ended {
  readonly code: number
  readonly stdout: string
}

async function sallyport(variables: Readonly<Record<string, string>>, args: readonly string[]): Promise<Ended> {
  const cwd = await mkdtemp(join(tmpdir(), 'sallyport-rolling-'))
  const env = { PATH: process.env['PATH'], ...variables }
  try {
    return await new Promise((resolve) => {
      execFile(process.execPath, ['--disable-warning=ExperimentalWarning', MAIN, ...args], { cwd, env }, (error, stdout) => {
        resolve({ code: typeof error?.code === 'number' ? error.code : 0, stdout })
      })
    })
  } finally {
    await rm(cwd, { recursive: true, force: true, maxRetries: 10 })
  }
}
