/**
 * Owns the figures of the audit log: events appended a second, alone, strict and batched; events verified and rows exported a second, and the memory that
 * an export takes from its beginning to its end. In one process on a PostgreSQL of its own. Judges no figure; a log that is not whole, a lost event or an
 * export that does not verify is an error.
 */
import { createLogger, generateKeyBytes, MetricsRegistry, newId, RootKeyring, Secret, systemClock } from '@sallyport/core'
import type { OrgId } from '@sallyport/core'
import { freshDatabase } from '../packages/server/test/db/fresh-database.ts'
import {
  appendAudit,
  createCheckpointer,
  createCheckpointSink,
  createUseLog,
  exportText,
  signingKeys,
  verifyExport,
  verifyOrganization,
} from '../packages/server/src/audit/index.ts'
import type { Checkpointer, UseLog } from '../packages/server/src/audit/index.ts'
import { auditEndFind } from '../packages/server/src/db/index.ts'
import type { Database } from '../packages/server/src/db/index.ts'
import { METRICS } from '../packages/server/src/metrics/index.ts'
import { createPersonal, createVault } from '../packages/server/src/vault/index.ts'
import type { Personal } from '../packages/server/src/vault/index.ts'
import { startTestPostgres } from '../packages/testkit/src/servers/postgres.ts'

export interface AuditPlan {
  /** Of each way of appending. */
  readonly seconds: number
  /** That wait for their own event at once. */
  readonly callers: number
  /** Events of the log that is verified and exported. */
  readonly events: number
}

export const AUDIT_PLANS: Readonly<Record<'quick' | 'long' | 'tiny', AuditPlan>> = {
  quick: { seconds: 3, callers: 64, events: 50_000 },
  long: { seconds: 15, callers: 64, events: 1_000_000 },
  tiny: { seconds: 0.2, callers: 8, events: 2_000 },
}

export interface AuditFigures {
  readonly appendsPerSecond: { readonly alone: number; readonly strict: number; readonly batched: number }
  readonly verified: { readonly events: number; readonly perSecond: number }
  readonly exported: {
    readonly rows: number
    readonly perSecond: number
    readonly bytes: number
    /** Resident memory before it, at most in its first tenth, and at most in the rest. */
    readonly rssBefore: number
    readonly rssEarly: number
    readonly rssLater: number
    /** The export, proven with the public key alone. */
    readonly provenPerSecond: number
  }
  /** Logs that were not whole, and events that were taken and are not there. */
  readonly faults: number
}

const logger = createLogger({ level: 'silent', format: 'json' })
const event = (n: number) => ({
  action: 'credential.used',
  actor: 'key_0000000000000000000001',
  target: `conn_${String(n).padStart(22, '0')}`,
  detail: { method: 'GET', request: `req_${String(n).padStart(22, '0')}` },
})

export async function measureAudit(plan: AuditPlan, progress: (what: string) => void): Promise<AuditFigures> {
  const server = await startTestPostgres({ major: 18 })
  try {
    const fresh = await freshDatabase(server.url)
    const database = await fresh.open()
    const metrics = new MetricsRegistry(METRICS)
    const keyring = RootKeyring.parse(new Secret(`r1:${generateKeyBytes().toString('hex')}`))
    const vault = createVault({ database, keyring, clock: systemClock, logger })
    await vault.checkRootKeys()
    const personal = createPersonal({ vault, logger })
    const sink = createCheckpointSink({ file: undefined, toLog: false, logger, metrics })
    const signer = (id: string) => vault.auditSigner(id)
    const checkpointer = createCheckpointer({ database, signer, sink, everyEvents: 1_000, everySeconds: 60, logger, metrics })
    try {
      return await measure({ database, personal, checkpointer, useLog: createUseLog({ database, personal, logger }) }, plan, progress)
    } finally {
      await checkpointer.close()
      vault.close()
      await fresh.drop()
    }
  } finally {
    await server.stop()
  }
}

interface Parts {
  readonly database: Database
  readonly personal: Personal
  readonly checkpointer: Checkpointer
  readonly useLog: UseLog
}

async function measure(parts: Parts, plan: AuditPlan, progress: (what: string) => void): Promise<AuditFigures> {
  const { database, useLog } = parts
  progress('appending, alone, strict and batched')
  const [alone, strict, batched] = [newId('org'), newId('org'), newId('org')]
  const counts = {
    alone: await appendAlone(database, alone, plan),
    strict: await appendStrict(useLog, strict, plan),
    batched: await appendBatched(useLog, batched, plan),
  }
  await useLog.close()
  let faults = 0
  for (const [org, { events }] of [
    [alone, counts.alone],
    [strict, counts.strict],
    [batched, counts.batched],
  ] as const) {
    const { intact, events: found } = await verifyOrganization(database, org)
    if (!intact || found !== BigInt(events)) faults += 1
  }
  progress(`a log of ${plan.events} events`)
  const org = newId('org')
  await fill(database, org, plan.events)
  const verified = await timed(() => verifyOrganization(database, org))
  if (!verified.result.intact) faults += 1
  progress(`exporting and proving ${plan.events} rows`)
  const { proven, ...exported } = await exportAll(parts, org)
  if (!proven || exported.rows !== plan.events) faults += 1
  return {
    appendsPerSecond: { alone: counts.alone.perSecond, strict: counts.strict.perSecond, batched: counts.batched.perSecond },
    verified: { events: plan.events, perSecond: Math.round(plan.events / verified.seconds) },
    exported,
    faults,
  }
}

interface Count {
  readonly events: number
  readonly perSecond: number
}

/** Each in a transaction of its own, one after another, as a change appends its event. */
async function appendAlone(database: Database, org: OrgId, { seconds }: AuditPlan): Promise<Count> {
  return counted(seconds, 1, (n) => database.withTenant(org, (tx) => appendAudit(tx, event(n))))
}

async function appendStrict(useLog: UseLog, org: OrgId, { seconds, callers }: AuditPlan): Promise<Count> {
  return counted(seconds, callers, async (n) => useLog.use(org, 'strict', event(n)))
}

/** As fast as it takes them; who is refused waits for the next turn, as no caller would. The end waits for what is held. */
async function appendBatched(useLog: UseLog, org: OrgId, { seconds }: AuditPlan): Promise<Count> {
  const began = performance.now()
  const until = began + seconds * 1_000
  let events = 0
  while (performance.now() < until) {
    if (useLog.buffered < 5_000) for (let n = 0; n < 100; n++) void useLog.use(org, 'batched', event(events++))
    await new Promise((resolve) => setImmediate(resolve))
  }
  await useLog.flush()
  return { events, perSecond: Math.round(events / ((performance.now() - began) / 1_000)) }
}

async function counted(seconds: number, callers: number, append: (n: number) => Promise<unknown>): Promise<Count> {
  const began = performance.now()
  const until = began + seconds * 1_000
  let events = 0
  const caller = async (): Promise<void> => {
    while (performance.now() < until) await append(events++)
  }
  await Promise.all(Array.from({ length: callers }, caller))
  return { events, perSecond: Math.round(events / ((performance.now() - began) / 1_000)) }
}

const FILL = 5_000

async function fill(database: Database, org: OrgId, events: number): Promise<void> {
  for (let n = 0; n < events; n += FILL) {
    const page = Array.from({ length: Math.min(FILL, events - n) }, (_, i) => event(n + i))
    await database.withTenant(org, (tx) => appendAudit(tx, ...page))
  }
}

async function exportAll({ database, personal, checkpointer }: Parts, org: OrgId) {
  const end = await checkpointer.checkpoint(org)
  const keys = await checkpointer.keys()
  const through = end!.seq
  const wanted = {
    org,
    through,
    filter: {},
    format: 'jsonl',
    keys,
    opener: personal,
    end: checkpointer.exportEnd.bind(checkpointer),
  } as const
  const memory = new Memory(Number(through))
  let [rows, bytes] = [0, 0]
  const { seconds } = await timed(async () => {
    for await (const piece of exportText(database, wanted, () => void (rows += 1))) {
      bytes += Buffer.byteLength(piece)
      memory.look(rows)
    }
  })
  const trusted = (await signingKeys({ database })).map(({ publicKey }) => publicKey)
  const proof = await timed(() => verifyExport(linesOf(exportText(database, wanted, () => undefined)), trusted))
  const { intact } = proof.result
  const last = (await database.withTenant(org, auditEndFind)).last
  return {
    rows,
    perSecond: Math.round(rows / seconds),
    bytes,
    ...memory.figures(),
    provenPerSecond: Math.round(rows / proof.seconds),
    proven: intact && last === through,
  }
}

/** What the process takes while an export goes on. */
class Memory {
  readonly #before = process.memoryUsage.rss()
  readonly #tenth: number
  #early = 0
  #later = 0

  constructor(rows: number) {
    this.#tenth = rows / 10
  }

  look(rows: number): void {
    const rss = process.memoryUsage.rss()
    if (rows <= this.#tenth) this.#early = Math.max(this.#early, rss)
    else this.#later = Math.max(this.#later, rss)
  }

  figures() {
    return { rssBefore: this.#before, rssEarly: Math.max(this.#early, this.#before), rssLater: this.#later }
  }
}

async function* linesOf(pieces: AsyncIterable<string>): AsyncGenerator<string> {
  // Pieces end with a line.
  for await (const piece of pieces) yield* piece.split('\n').slice(0, -1)
}

async function timed<Result>(work: () => Promise<Result>): Promise<{ result: Result; seconds: number }> {
  const began = performance.now()
  return { result: await work(), seconds: (performance.now() - began) / 1_000 }
}

export function tableOfAudit({ appendsPerSecond, verified, exported }: AuditFigures): string {
  const megabytes = (bytes: number): string => `${Math.round(bytes / 1024 / 1024)} MB`
  return [
    'The audit log, on a PostgreSQL of its own, one organization',
    `  appended a second   alone ${appendsPerSecond.alone}, strict ${appendsPerSecond.strict}, batched ${appendsPerSecond.batched}`,
    `  verified            ${verified.perSecond} events/s of ${verified.events}`,
    `  exported            ${exported.perSecond} rows/s of ${exported.rows}, ${megabytes(exported.bytes)}; proven from the text, read again, ${exported.provenPerSecond} rows/s`,
    `  resident memory     ${megabytes(exported.rssBefore)} before, ${megabytes(exported.rssEarly)} in the first tenth, ${megabytes(exported.rssLater)} after it`,
  ].join('\n')
}
