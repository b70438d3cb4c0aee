/**
 * Owns the figures of keys: sealing beside its raw cost, a sweep beside the least that reads, opens, seals and writes the same records, and the start with many
 * organizations beside the start with one. On a PostgreSQL of its own. Judges nothing; a record left behind or a start that is refused is an error.
 */
import { Client } from 'pg'
import { sql } from 'kysely'
import { createLogger, generateKeyBytes, MetricsRegistry, RootKeyring, Secret, systemClock } from '@sallyport/core'
import type { DataKeyId } from '@sallyport/core'
import { freshDatabase, makeTenant } from '../packages/server/test/db/fresh-database.ts'
import type { Tenant } from '../packages/server/test/db/fresh-database.ts'
import { credentialAdvance } from '../packages/server/test/vault/rotation-writes.ts'
import type { Database } from '../packages/server/src/db/index.ts'
import { METRICS } from '../packages/server/src/metrics/index.ts'
import { createKeeper, createVault, credentialPlace } from '../packages/server/src/vault/index.ts'
import type { Keeper, Vault } from '../packages/server/src/vault/index.ts'
import { startGatewayProcess } from '../packages/testkit/src/gateway/index.ts'
import { startTestPostgres } from '../packages/testkit/src/servers/postgres.ts'
import { measureSealing } from './sealing.ts'
import type { SealingFigures } from './sealing.ts'
import { spread } from './statistics.ts'
import type { Spread } from './statistics.ts'

export interface KeysPlan {
  readonly sealing: { readonly rounds: number; readonly times: number }
  readonly sweep: { readonly records: number; readonly rounds: number }
  readonly start: { readonly organizations: number; readonly times: number }
}

export const KEYS_PLANS: Readonly<Record<'quick' | 'long' | 'tiny', KeysPlan>> = {
  quick: { sealing: { rounds: 9, times: 15_000 }, sweep: { records: 5_000, rounds: 3 }, start: { organizations: 10_000, times: 3 } },
  long: { sealing: { rounds: 31, times: 20_000 }, sweep: { records: 50_000, rounds: 5 }, start: { organizations: 10_000, times: 9 } },
  tiny: { sealing: { rounds: 2, times: 20 }, sweep: { records: 150, rounds: 1 }, start: { organizations: 50, times: 1 } },
}

export interface KeysReport {
  readonly sealing: SealingFigures
  readonly sweep: { readonly records: number; readonly perSecond: Spread; readonly rawPerSecond: Spread; readonly timeToRaw: Spread }
  readonly start: { readonly organizations: number; readonly ms: Spread; readonly withOneMs: Spread }
}

export async function measureKeys(plan: KeysPlan, progress: (what: string) => void): Promise<KeysReport> {
  progress('sealing and opening')
  const sealing = measureSealing(plan.sealing)
  const server = await startTestPostgres({ major: 18 })
  try {
    progress(`sweeping ${plan.sweep.records} records, ${plan.sweep.rounds} times each way`)
    const sweep = await measureSweep(server.url, plan.sweep)
    progress(`starting with ${plan.start.organizations} organizations`)
    return { sealing, sweep, start: await measureStart(server.url, plan.start) }
  } finally {
    await server.stop()
  }
}

async function measureSweep(url: string, { records, rounds }: KeysPlan['sweep']): Promise<KeysReport['sweep']> {
  const fresh = await freshDatabase(url)
  const database = await fresh.open()
  const logger = createLogger({ level: 'silent', format: 'json' })
  const keyring = RootKeyring.parse(new Secret(`r1:${generateKeyBytes().toString('hex')}`))
  const vault = createVault({ database, keyring, clock: systemClock, logger })
  await vault.checkRootKeys()
  const metrics = new MetricsRegistry(METRICS)
  const keeper = createKeeper({ database, vault, clock: systemClock, logger, metrics, rotateAfterDays: 0 })
  const tenant = await makeTenant(database)
  for (let n = 0; n < records; n += 500) {
    await database.withTenant(tenant.org, async (tx) => {
      for (let i = n; i < Math.min(records, n + 500); i++) await credentialAdvance(tx, vault, tenant.connection, BigInt(i + 2))
    })
  }
  const rate = async (move: () => Promise<number>): Promise<number> => {
    const began = performance.now()
    const moved = await move()
    if (moved !== records) throw new Error(`${moved} of ${records} records were moved`)
    return records / ((performance.now() - began) / 1000)
  }
  const ours: number[] = []
  const raw: number[] = []
  // The first of each is thrown away: pages are cold, and code is compiled.
  for (let round = 0; round <= rounds; round++) {
    await renewed(keeper, tenant)
    const swept = await rate(async () => (await keeper.sweep(tenant.org, 'system')).resealed)
    const to = await renewed(keeper, tenant)
    const plain = await rate(() => moveRaw(database, vault, tenant, to))
    if (round === 0) continue
    ours.push(swept)
    raw.push(plain)
  }
  await keeper.close()
  vault.close()
  await fresh.drop()
  const timeToRaw = spread(ours.map((each, round) => raw[round]! / each))
  return { records, perSecond: spread(ours), rawPerSecond: spread(raw), timeToRaw }
}

async function renewed(keeper: Keeper, { org }: Tenant): Promise<DataKeyId> {
  const made = await keeper.renew(org, 'system')
  if (made === undefined) throw new Error('no data key was made')
  return made.to
}

/** The least: pages by key, each opened and sealed, written back by key. Nothing is held, counted, compared or written down. */
async function moveRaw(database: Database, vault: Vault, { org, connection }: Tenant, to: DataKeyId): Promise<number> {
  let [moved, after] = [0, 1n]
  for (;;) {
    const page = await database.withTenant(org, async (tx) => {
      const { rows } = await sql<{ seq: string; sealed: Buffer }>`
        select seq::text as seq, sealed from sallyport.credential_version
        where org_id = ${org} and connection_id = ${connection} and seq > ${after} order by credential_version.seq limit 100`.execute(tx)
      const seqs = rows.map(({ seq }) => seq)
      const sealed: Buffer[] = []
      for (const row of rows) sealed.push(await vault.reseal(tx, credentialPlace(connection, BigInt(row.seq)), row.sealed, to))
      await sql`
        update sallyport.credential_version t set sealed = v.sealed
        from unnest(${sql`${seqs}::bigint[]`}, ${sql`${sealed}::bytea[]`}) as v(seq, sealed)
        where t.org_id = ${org} and t.connection_id = ${connection} and t.seq = v.seq`.execute(tx)
      return seqs
    })
    moved += page.length
    if (page.length < 100) return moved
    after = BigInt(page.at(-1)!)
  }
}

async function measureStart(url: string, { organizations, times }: KeysPlan['start']): Promise<KeysReport['start']> {
  const variables = { SALLYPORT_ENCRYPTION_KEYS: `r1:${generateKeyBytes().toString('hex')}`, SALLYPORT_LOG_LEVEL: 'warn' }
  const first = await startGatewayProcess({ postgresUrl: url, variables })
  await first.stop()
  // As a node starts that finds its schema up to date.
  const start = async (): Promise<number> => {
    const began = performance.now()
    const gateway = await startGatewayProcess({ database: first.database, variables })
    const took = performance.now() - began
    await gateway.stop()
    return took
  }
  const several = async (): Promise<number[]> => {
    await start()
    const took: number[] = []
    for (let n = 0; n < times; n++) took.push(await start())
    return took
  }
  const withOne = await several()
  await fill(first.databaseUrl!, organizations)
  return { organizations, ms: spread(await several()), withOneMs: spread(withOne) }
}

/** Organizations with a data key each. What those wrap is never looked at when a gateway starts: it is a copy of some form. */
async function fill(adminUrl: string, organizations: number): Promise<void> {
  const client = new Client({ connectionString: adminUrl })
  await client.connect()
  try {
    await client.query('create temp table made (id uuid)')
    await client.query('insert into made select gen_random_uuid() from generate_series(1, $1::int)', [organizations])
    await client.query(`insert into sallyport.organization (id, name) select id, 'An organization' from made`)
    await client.query(`insert into sallyport.data_key (org_id, id, root_key_id, wrapped, status)
      select id, gen_random_uuid(), 'r1', decode(repeat('00', 120), 'hex'), 'current' from made`)
  } finally {
    await client.end()
  }
}

export function tableOfKeys({ sealing, sweep, start }: KeysReport): string {
  const ratio = ({ median, low, high }: Spread): string => `${median.toFixed(2)} [${low.toFixed(2)}..${high.toFixed(2)}]`
  const whole = ({ median, low, high }: Spread): string => `${Math.round(median)} [${Math.round(low)}..${Math.round(high)}]`
  return [
    `Keys: ${sealing.bytes} bytes sealed and opened, CPU time to that of HKDF-SHA256 + AES-256-GCM alone   (goal 1.30)`,
    `  seal   ${sealing.seal.perSecond}/s, raw ${sealing.seal.rawPerSecond}/s, ${ratio(sealing.seal.toRaw)}`,
    `  open   ${sealing.open.perSecond}/s, raw ${sealing.open.rawPerSecond}/s, ${ratio(sealing.open.toRaw)}`,
    `Sweep of ${sweep.records} records to a new data key, time to that of reading, opening, sealing and writing alone`,
    `  ${whole(sweep.perSecond)} records/s, raw ${whole(sweep.rawPerSecond)}, ${ratio(sweep.timeToRaw)}`,
    `Start until it listens, a process on a PostgreSQL given by URL   (goal 1000 ms with data)`,
    `  ${whole(start.ms)} ms with ${start.organizations} organizations, ${whole(start.withOneMs)} with one`,
  ].join('\n')
}
