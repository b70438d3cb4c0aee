/**
 * Figures V-07 and G10: 100,000 connections ended by a bulk revocation whose process is killed half-way and whose work another takes up; and how long
 * it takes from ending a connection on one node until another no longer remembers it. On a PostgreSQL of its own. Exit code 1 when a connection was
 * left, ended twice or not on record, never for a figure.
 *
 *   node bench/revocation.ts [connections]        100,000 when absent; a few minutes
 */
import { once } from 'node:events'
import { setTimeout as wait } from 'node:timers/promises'
import { systemClock } from '@sallyport/core'
import { createTargetCache } from '../packages/server/src/proxy/index.ts'
import {
  connect,
  createRevocationWorld,
  fillConnections,
  makeRevocableTenant,
  spawnBulkWorker,
  tokenSet,
} from '../packages/server/test/revocation/world.ts'
import type { RevocationWorld } from '../packages/server/test/revocation/world.ts'
import { startTestPostgres } from '../packages/testkit/src/servers/postgres.ts'

const ROUNDS = 200
const LOOK_MS = 20
const connections = Number(process.argv[2] ?? 100_000)

async function measureBulk(world: RevocationWorld): Promise<{ readonly figures: object; readonly whole: boolean }> {
  const [node] = world.nodes
  const tenant = await makeRevocableTenant(node)
  await fillConnections(world, node, tenant, connections)
  const { bulk } = await node.service.bulk.begin(tenant.org, {}, 'user_of_the_bench')
  // The rest is other processes' work.
  await node.close()
  const ended = async (): Promise<number> =>
    Number((await world.rows<{ ended: string }>('select ended from sallyport.bulk_revocation where id = $1', [bulk.id]))[0]!.ended)
  const began = performance.now()
  const first = await ended()
  await world.rows('update sallyport.bulk_revocation set next_at = clock_timestamp()')
  const child = spawnBulkWorker(world)
  const gone = once(child, 'exit')
  while ((await ended()) < connections / 2) await wait(LOOK_MS)
  child.kill('SIGKILL')
  await gone
  const killedAt = await ended()
  // As if the time of the dead had passed.
  await world.rows('update sallyport.bulk_revocation set next_at = clock_timestamp()')
  await once(spawnBulkWorker(world), 'exit')
  const seconds = (performance.now() - began) / 1000
  const [counts] = await world.rows<{ revoked: string; versions: string; queued: string; events: string }>(
    `select (select count(*) from sallyport.connection where org_id = $1 and status = 'revoked') as revoked,
       (select count(*) from sallyport.credential_version where org_id = $1) as versions,
       (select count(*) from sallyport.revocation where org_id = $1) as queued,
       (select count(*) from sallyport.audit_event where org_id = $1 and action = 'connection.revoked') as events`,
    [tenant.org],
  )
  const { revoked, versions, queued, events } = counts!
  const whole = [revoked, queued, events].every((count) => Number(count) === connections) && Number(versions) === 0
  const figures = {
    connections,
    ended: Number(revoked),
    killed_at: killedAt,
    left_sealed_credentials: Number(versions),
    queued: Number(queued),
    events: Number(events),
    seconds: Math.round(seconds),
    per_second: Math.round((connections - first) / seconds),
  }
  return { figures, whole }
}

async function measureDenial(world: RevocationWorld): Promise<object> {
  const [one, two] = world.nodes
  const tenant = await makeRevocableTenant(one)
  const targets = createTargetCache({
    read: ({ org, project, environment, integration, selector }) =>
      two.database.proxyTarget({
        org,
        project,
        environment,
        slug: integration,
        connection: selector.connection,
        endUserId: selector.endUser,
      }),
    clock: systemClock,
    maxAgeMs: 3_600_000,
    maxAgeAwayMs: 3_600_000,
    patienceMs: 60_000,
    maxEntries: 100,
  })
  let dropped: () => void = () => undefined
  const stop = two.database.onChange((change) => {
    targets.drop(change)
    dropped()
  })
  const times: number[] = []
  for (let round = 0; round < ROUNDS; round++) {
    const id = await connect(one, tenant, tokenSet(`round-${round}`), { account: `account-${round}` })
    const wanted = { org: tenant.org, ...tenant.place, integration: 'api', selector: { connection: id, endUser: undefined } }
    while (targets.peek(wanted) === undefined) await targets.load(wanted)
    const began = performance.now()
    const gone = new Promise<void>((resolve) => (dropped = () => void (targets.peek(wanted) === undefined && resolve())))
    await Promise.all([
      one.service.disconnect(tenant.org, tenant.place, id, 'user_of_the_bench'),
      gone.then(() => times.push(performance.now() - began)),
    ])
  }
  stop()
  const sorted = times.toSorted((a, b) => a - b)
  const at = (share: number): number => Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]! * 10) / 10
  return { rounds: ROUNDS, p50_ms: at(0.5), p99_ms: at(0.99), worst_ms: at(1) }
}

const server = await startTestPostgres({ major: 18 })
try {
  const world = await createRevocationWorld(server.url)
  const denial = await measureDenial(world)
  const { figures, whole } = await measureBulk(world)
  console.log(JSON.stringify({ revoked_to_denied_on_another_node: denial, bulk: figures }, undefined, 2))
  process.exitCode = whole ? 0 : 1
} finally {
  await server.stop()
}
process.exit()
