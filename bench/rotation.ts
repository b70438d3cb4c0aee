/**
 * Figure G9: 100,000 sealed records moved to a new data key while credentials are read 200 times a second. Prints how many records a second,
 * failed reads, and the latency of reads without and with the rotation. In one process on a PostgreSQL
 * of its own. Exit code 1 when a read failed or a record was left behind, never for a figure.
 *
 *   node bench/rotation.ts [records]        100,000 when absent; a minute or two
 */
import { setTimeout as wait } from 'node:timers/promises'
import { createLogger, generateKeyBytes, MetricsRegistry, RootKeyring, Secret, systemClock } from '@sallyport/core'
import type { ConnectionId, OrgId } from '@sallyport/core'
import { freshDatabase, makeTenant } from '../packages/server/test/db/fresh-database.ts'
import { credentialHead } from '../packages/server/src/db/index.ts'
import type { Database } from '../packages/server/src/db/index.ts'
import { METRICS } from '../packages/server/src/metrics/index.ts'
import { createKeeper, createVault, credentialPlace } from '../packages/server/src/vault/index.ts'
import type { Vault } from '../packages/server/src/vault/index.ts'
import { credentialAdvance } from '../packages/server/test/vault/rotation-writes.ts'
import { startTestPostgres } from '../packages/testkit/src/servers/postgres.ts'

const READS_PER_SECOND = 200
const CALM_SECONDS = 5

const records = Number(process.argv[2] ?? 100_000)
const logger = createLogger({ level: 'silent', format: 'json' })

async function measure(url: string): Promise<number> {
  const fresh = await freshDatabase(url)
  const nodes = await Promise.all([fresh.open(), fresh.open()])
  const ring = new Secret(`r1:${generateKeyBytes().toString('hex')}`)
  const [rotating, reading] = nodes.map((database) => {
    return { database, vault: createVault({ database, keyring: RootKeyring.parse(ring), clock: systemClock, logger }) }
  }) as [Node, Node]
  await rotating.vault.checkRootKeys()
  const keeper = createKeeper({ ...rotating, clock: systemClock, logger, metrics: new MetricsRegistry(METRICS), rotateAfterDays: 0 })
  const { org, connection } = await makeTenant(rotating.database)
  for (let n = 0; n < records; n += 1000) {
    await rotating.database.withTenant(org, async (tx) => {
      for (let i = n; i < Math.min(records, n + 1000); i++) await credentialAdvance(tx, rotating.vault, connection, BigInt(i + 2))
    })
  }

  const calm = new Load(reading, org, connection)
  await wait(CALM_SECONDS * 1000)
  await calm.stop()
  const busy = new Load(reading, org, connection)
  await keeper.renew(org, 'system')
  const began = performance.now()
  const report = await keeper.sweep(org, 'system')
  const seconds = (performance.now() - began) / 1000
  await busy.stop()
  const left = [...report.left.values()].reduce((sum, count) => sum + count, 0)
  console.log(
    JSON.stringify(
      {
        records: report.resealed,
        left,
        unreadable: report.unreadable,
        seconds: round(seconds),
        records_per_second: Math.round(report.resealed / seconds),
        reads: { calm: calm.figures(), rotating: busy.figures() },
        added_p99_ms: round(busy.percentile(0.99) - calm.percentile(0.99)),
      },
      undefined,
      2,
    ),
  )
  await keeper.close()
  for (const { vault } of [rotating, reading]) vault.close()
  await fresh.drop()
  return busy.failed + calm.failed + left + report.unreadable === 0 && report.resealed === records ? 0 : 1
}

interface Node {
  readonly database: Database
  readonly vault: Vault
}

/** Reads of the connection's credential as a cold call does them, at their own pace, whether or not earlier ones are answered. */
class Load {
  readonly #times: number[] = []
  readonly #running = new Set<Promise<void>>()
  readonly #timer: NodeJS.Timeout
  failed = 0

  constructor(node: Node, org: OrgId, connection: ConnectionId) {
    this.#timer = setInterval(() => {
      const run: Promise<void> = this.#read(node, org, connection).finally(() => this.#running.delete(run))
      this.#running.add(run)
    }, 1000 / READS_PER_SECOND)
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer)
    await Promise.all(this.#running)
  }

  percentile(share: number): number {
    const sorted = this.#times.toSorted((a, b) => a - b)
    return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
  }

  figures(): object {
    return { reads: this.#times.length, failed: this.failed, p50_ms: round(this.percentile(0.5)), p99_ms: round(this.percentile(0.99)) }
  }

  async #read({ database, vault }: Node, org: OrgId, connection: ConnectionId): Promise<void> {
    const began = performance.now()
    try {
      const head = await database.withTenant(org, (tx) => credentialHead(tx, connection))
      const place = credentialPlace(connection, head!.seq)
      if (vault.openCached(org, place, head!.sealed) === undefined) await vault.open(org, place, head!.sealed)
    } catch {
      this.failed += 1
    }
    this.#times.push(performance.now() - began)
  }
}

function round(value: number): number {
  return Math.round(value * 100) / 100
}

const server = await startTestPostgres({ major: 18 })
try {
  process.exitCode = await measure(server.url)
} finally {
  await server.stop()
}
