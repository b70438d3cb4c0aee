/**
 * The same of a database that is told to write down everything it is asked: every statement with its parameters in its log, and all that its statistics keep
 * of statements. An operator, or a hosted database, may have that on.
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from 'pg'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { connectAccount, createKey, setStage, SLUG } from '@sallyport/testkit'
import type { Stage } from '@sallyport/testkit'
import { submitFirstForm } from '@sallyport/sandbox'
import { startTestPostgres } from '../../packages/testkit/src/servers/postgres.ts'
import type { TestPostgres } from '../../packages/testkit/src/servers/postgres.ts'

let server: TestPostgres
let stage: Stage
let logs: string
beforeAll(async () => {
  logs = await mkdtemp(join(tmpdir(), 'sallyport-statements-'))
  server = await startTestPostgres({
    major: 18,
    logFile: join(logs, 'log'),
    settings: {
      shared_preload_libraries: 'pg_stat_statements',
      'pg_stat_statements.track': 'all',
      log_statement: 'all',
      // Without it, parameters are left out.
      log_error_verbosity: 'default',
      log_parameter_max_length: '-1',
      log_parameter_max_length_on_error: '-1',
    },
  })
  await onServer((client) => client.query('create extension pg_stat_statements'))
  stage = await setStage({ postgresUrl: server.url })
})
afterAll(async () => {
  await stage?.close()
  await server?.stop()
  await rm(logs, { recursive: true, force: true, maxRetries: 10 })
})

async function onServer<T>(work: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString: server.url })
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}

it('L-08 of a database that logs every statement with its parameters, and keeps statistics of them, neither holds a secret', async () => {
  const { owner, issuer, gateway } = stage
  await connectAccount(owner, 'user-statements')
  stage.upstream.answer((_request, response) => void response.end('well'))
  expect((await stage.call('/user')).status).toBe(200)
  const key = await createKey(owner, ['proxy:call'])
  const { link } = await owner.client.call('connectSessionCreate', {
    params: owner.place,
    body: { integration: SLUG, end_user_id: 'user-under-way' },
  })
  const state = new URL(await submitFirstForm(owner.browser, link)).searchParams.get('state')!
  await owner.client.call('connectionRevoke', { params: { ...owner.place, connection: stage.connection } })
  const secrets: readonly (readonly [string, string])[] = [
    ['the client secret', issuer.clientSecret],
    ...issuer.tokens.map((token, i) => [`token ${i}`, token] as const),
    ...issuer.exchanges.flatMap((exchange, i) => ['code', 'code_verifier'].map((name) => [`${name} ${i}`, exchange.get(name)!] as const)),
    ...[stage.key, key].map((one, i) => [`key ${i}`, one.split('_')[3]!] as const),
    ['a connect link', new URL(link).pathname.split('/').at(-1)!],
    ['a state', state],
    ['the starter’s token', gateway.starterToken],
    ['the owner link', new URL(gateway.ownerLink).hash.slice('#owner='.length)],
  ]
  await gateway.stop()

  const statements = await onServer(async (client) => (await client.query<{ query: string }>('select query from pg_stat_statements')).rows)
  const log = await readFile(join(logs, 'log'), 'latin1')
  const statistics = statements.map(({ query }) => query).join('\n')
  // The search itself finds something: parameters are there, and one of them is an end user's id, which is no secret.
  expect([log.includes('user-statements'), statistics.includes('"credential_version"')]).toEqual([true, true])
  for (const [what, secret] of secrets) {
    expect(secret.length, what).toBeGreaterThanOrEqual(20)
    for (const form of [secret, Buffer.from(secret).toString('hex'), Buffer.from(secret).toString('base64').replace(/=+$/u, '')]) {
      expect([log.includes(form), statistics.includes(form)], what).toEqual([false, false])
    }
  }
})
