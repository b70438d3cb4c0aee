/** Owns the proof that everything sealed can be opened: each data key unwrapped, each record opened and forgotten. Refuses to change anything. */
import { formatId, SallyportError } from '@sallyport/core'
import type { DataKeyId, OrgId } from '@sallyport/core'
import { dataKeyList, sealedList } from '../db/index.ts'
import type { Database, SealedRow, TenantTx } from '../db/index.ts'
import { pageOf, SEALED_COLUMNS } from './sealed-columns.ts'
import type { SealedColumn } from './sealed-columns.ts'
import { recordsPerKey } from './sweep.ts'
import type { Vault } from './vault.ts'

export interface KeyFault {
  readonly org: OrgId
  readonly table: string
  readonly record: string
  /** The code of the failure. */
  readonly code: string
}

export interface KeyVerification {
  readonly organizations: number
  readonly dataKeys: number
  /** Records that were opened. */
  readonly records: number
  /** Records whose key was destroyed on purpose. */
  readonly destroyed: number
  /** What should open and didn't. Empty: everything is well. */
  readonly faults: readonly KeyFault[]
}

interface Verifying {
  readonly database: Database
  readonly vault: Pick<Vault, 'open' | 'prove'>
}

export async function verifyOrganization(context: Verifying, org: OrgId): Promise<KeyVerification> {
  const { keys, counts } = await context.database.withTenant(org, async (tx) => ({
    keys: await dataKeyList(tx),
    counts: await recordsPerKey(tx),
  }))
  const faults: KeyFault[] = []
  let records = 0
  for (const { id } of keys) {
    for (const column of SEALED_COLUMNS) records += await verifyColumn(context, org, id, column, faults)
  }
  const destroyed = [...counts].filter(([id]) => !keys.some((key) => key.id === id)).reduce((sum, [, count]) => sum + count, 0)
  for (const key of keys) {
    const code = await codeOf(() => context.vault.prove(org, key))
    if (code !== undefined) faults.push({ org, table: 'data_key', record: formatId('dk', key.id), code })
  }
  return { organizations: 1, dataKeys: keys.length, records, destroyed, faults }
}

async function verifyColumn(
  { database, vault }: Verifying,
  org: OrgId,
  under: DataKeyId,
  column: SealedColumn,
  faults: KeyFault[],
): Promise<number> {
  const limit = pageOf(column)
  let opened = 0
  let rows: SealedRow[] = []
  do {
    const after = rows.at(-1)
    rows = await database.withTenant(org, (tx: TenantTx) => sealedList(tx, column, { under, after, limit }))
    for (const { names, envelope } of rows) {
      const place = column.place(names)
      const code = await codeOf(() => vault.open(org, place, envelope))
      if (code === undefined) opened += 1
      else faults.push({ org, table: column.table, record: place.record, code })
    }
  } while (rows.length === limit)
  return opened
}

/** The code of a failure to open; a store that can't be asked is no fault of what is in it, and ends the verification. */
async function codeOf(work: () => Promise<unknown>): Promise<string | undefined> {
  try {
    await work()
    return undefined
  } catch (error) {
    if (error instanceof SallyportError && OPENING.has(error.code)) return error.code
    throw error
  }
}

const OPENING: ReadonlySet<string> = new Set([
  'envelope_malformed',
  'envelope_version_unknown',
  'key_unknown',
  'key_invalid',
  'decrypt_failed',
  'data_key_missing',
  'root_key_missing',
])
