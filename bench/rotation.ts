/**
 * Owns figure G9: sealed records moved to a new data key while credentials are read, 200 times a second as far as the machine lets it. Records a
 * second, failed reads, reads a second, and the latency of reads without and with the rotation. In one process on a PostgreSQL of its own. Judges
 * no figure: the difference of two latencies says something on an idle machine alone.
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

const logger = createLogger({ level: 'silent', format: 'json' })

export const ROTATION_RECORDS: Readonly<Record<'quick' | 'long' | 'tiny', number>> = { quick: 100_000, long: 100_000, tiny: 300 }

export interface ReadFigures {
  readonly reads: number
  readonly perSecond: number
  readonly failed: number
  readonly p50Ms: number
  readonly p99Ms: number
}

export interface RotationFigures {
  readonly records: number
  readonly left: number
  readonly unreadable: number
  readonly seconds: number
  readonly recordsPerSecond: number
  readonly reads: { readonly calm: ReadFigures; readonly rotating: ReadFigures }
}

export async function measureRotation(records: number, progress: (what: string) => void): Promise<RotationFigures> {
  progress(`turning ${records} records under load`)
  const server = await startTestPostgres({ major: 18 })
  try {
    return await measure(server.url, records)
  } finally {
    await server.stop()
  }
}

/** What went wrong; nothing of it is a matter of speed. */
export function faultsOfRotation({ records, left, unreadable, reads }: RotationFigures, asked: number): number {
  return left + unreadable + reads.calm.failed + reads.rotating.failed + Math.abs(asked - records)
}

async function measure(url: string, records: number): Promise<RotationFigures> {
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
  await keeper.close()
  for (const { vault } of [rotating, reading]) vault.close()
  await fresh.drop()
  return {
    records: report.resealed,
    left,
    unreadable: report.unreadable,
    seconds: round(seconds),
    recordsPerSecond: Math.round(report.resealed / seconds),
    reads: { calm: calm.figures(), rotating: busy.figures() },
  }
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
  readonly #began = performance.now()
  #took = Number.NaN
  #failed = 0

  constructor(node: Node, org: OrgId, connection: ConnectionId) {
    this.#timer = setInterval(() => {
      const run: Promise<void> = this.#read(node, org, connection).finally(() => this.#running.delete(run))
      this.#running.add(run)
    }, 1000 / READS_PER_SECOND)
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer)
    await Promise.all(this.#running)
    this.#took = performance.now() - this.#began
  }

  #percentile(share: number): number {
    const sorted = this.#times.toSorted((a, b) => a - b)
    return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
  }

  figures(): ReadFigures {
    return {
      reads: this.#times.length,
      perSecond: Math.round(this.#times.length / (this.#took / 1000)),
      failed: this.#failed,
      p50Ms: round(this.#percentile(0.5)),
      p99Ms: round(this.#percentile(0.99)),
    }
  }

  async #read({ database, vault }: Node, org: OrgId, connection: ConnectionId): Promise<void> {
    const began = performance.now()
    try {
      const head = await database.withTenant(org, (tx) => credentialHead(tx, connection))
      const place = credentialPlace(connection, head!.seq)
      if (vault.openCached(org, place, head!.sealed) === undefined) await vault.open(org, place, head!.sealed)
    } catch {
      this.#failed += 1
    }
    this.#times.push(performance.now() - began)
  }
}

function round(value: number): number {
  return Math.round(value * 100) / 100
}
