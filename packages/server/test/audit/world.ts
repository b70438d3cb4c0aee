/** Owns a database with a vault and a checkpointer on it, and the ways of somebody who owns that database's server. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { generateKeyBytes, MetricsRegistry, RootKeyring, Secret, systemClock } from '@sallyport/core'
import type { OrgId } from '@sallyport/core'
import { appendAudit, createCheckpointer, createCheckpointSink } from '../../src/audit/index.ts'
import type { AuditEvent, Checkpointer } from '../../src/audit/index.ts'
import type { Database } from '../../src/db/index.ts'
import { METRICS } from '../../src/metrics/index.ts'
import { createPersonal, createVault } from '../../src/vault/index.ts'
import type { Personal, Vault } from '../../src/vault/index.ts'
import { freshDatabase, silent } from '../db/fresh-database.ts'
import type { FreshDatabase } from '../db/fresh-database.ts'

export interface AuditWorld {
  readonly fresh: FreshDatabase
  readonly database: Database
  readonly vault: Vault
  readonly personal: Personal
  readonly metrics: MetricsRegistry
  /** What leaves the database. */
  readonly file: string
  /** Another node's checkpointer, on the same database and with the same root key. */
  node(over?: { file?: string; everyEvents?: number; everySeconds?: number }): Checkpointer
  append(org: OrgId, ...events: AuditEvent[]): Promise<void>
  /** As somebody who owns the server: triggers off, then on again. */
  tamper(sql: string, values?: unknown[]): Promise<void>
  close(): Promise<void>
}

export const thing = (n: number | string): AuditEvent => ({
  action: 'thing.changed',
  actor: 'system',
  target: `thing ${n}`,
  // Texts on which two spellings of JSON would differ, were there two.
  detail: { n, text: 'é "\\/\b\f\n\r\t\u0001\u001f\u007f\u2028😀', b: null, a: [1.5e300, -0, 1e21], ä: {} },
})

const TABLES = ['audit_event', 'audit_head', 'audit_checkpoint', 'audit_signing_key']

export async function auditWorld(serverUrl: string): Promise<AuditWorld> {
  const fresh = await freshDatabase(serverUrl)
  const database = await fresh.open()
  const folder = await mkdtemp(join(tmpdir(), 'sallyport-audit-'))
  const metrics = new MetricsRegistry(METRICS)
  const telling = { logger: silent, metrics }
  const keyring = RootKeyring.parse(new Secret(`r1:${generateKeyBytes().toString('hex')}`))
  const vault = createVault({ database, keyring, clock: systemClock, ...telling })
  await vault.checkRootKeys()
  const file = join(folder, 'checkpoints.jsonl')
  return {
    fresh,
    database,
    vault,
    personal: createPersonal({ vault, logger: silent }),
    metrics,
    file,
    node: ({ file: to = file, everyEvents = 1_000, everySeconds = 60 } = {}) =>
      createCheckpointer({
        database,
        signer: (id) => vault.auditSigner(id),
        sink: createCheckpointSink({ file: to, toLog: false, ...telling }),
        everyEvents,
        everySeconds,
        ...telling,
      }),
    append: (org, ...events) => database.withTenant(org, (tx) => appendAudit(tx, ...events)),
    async tamper(sql, values) {
      for (const table of TABLES) await fresh.asSuperuser(`alter table sallyport.${table} disable trigger all`)
      try {
        await fresh.asSuperuser(sql, values)
      } finally {
        for (const table of TABLES) await fresh.asSuperuser(`alter table sallyport.${table} enable trigger all`)
      }
    },
    async close() {
      vault.close()
      await fresh.drop()
      await rm(folder, { recursive: true, force: true, maxRetries: 10 })
    },
  }
}
