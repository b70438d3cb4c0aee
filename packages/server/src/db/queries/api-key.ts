/** Owns the rows of gateway keys. Refuses to give their hashes: those are read by `Lookups.keyLookup` alone. */
import { sql } from 'kysely'
import type { ExpressionBuilder, Selectable } from 'kysely'
import type { Scope } from '@sallyport/contract'
import type { ConnectionId, Environment, KeyId, ProjectId } from '@sallyport/core'
import type { Schema } from '../schema.ts'
import { noteChange } from '../tenant.ts'
import type { TenantTx } from '../tenant.ts'
import type { Page, Place } from './page.ts'

/** Where keys lie: in an environment of a project, or in the organization alone, of one environment or (null) of either. */
export type KeyPlace = Place | { readonly project: null; readonly environment: Environment | null }

export interface ApiKey {
  readonly id: KeyId
  /** Null: of the organization. */
  readonly project: ProjectId | null
  readonly environment: Environment
  readonly name: string
  readonly scopes: readonly Scope[]
  readonly connection: ConnectionId | null
  /** Ranges that it may be used from, in CIDR; null for anywhere. Its makers' hold beside its own. */
  readonly allowedAddresses: readonly string[] | null
  /** Exact origins of the pages that may use it; null for whoever has it. Its makers' hold beside its own. */
  readonly allowedOrigins: readonly string[] | null
  readonly sender: KeySender | null
  /** `user_...`, `key_...` or `system`. */
  readonly createdBy: string
  /** The key that rotated itself into this one, and whose revocation ends it. */
  readonly succeeds: KeyId | null
  readonly createdAt: Date
  readonly expiresAt: Date | null
  readonly revokedAt: Date | null
  /** To the minute, and told a minute or two later; null: never, as far as is known. */
  readonly lastUsedAt: Date | null
}

/** Who alone may use a key: whoever proves this JWK (RFC 9449), or this certificate (RFC 8705). SHA-256 in base64url. */
export interface KeySender {
  readonly kind: 'dpop' | 'certificate'
  readonly thumbprint: string
}

export interface NewApiKey {
  /** Null: of the organization. */
  readonly project: ProjectId | null
  readonly environment: Environment
  readonly id: KeyId
  readonly name: string
  readonly secretHmac: Buffer
  readonly secretArgon2id: string
  readonly scopes: readonly Scope[]
  readonly connection: ConnectionId | null
  /** Judged by `parseAddressRange`; absent or null for anywhere. */
  readonly allowedAddresses?: readonly string[] | null
  /** Judged by `checkedOrigins`; absent or null for whoever has it. */
  readonly allowedOrigins?: readonly string[] | null
  readonly sender?: KeySender | null
  readonly createdBy: string
  /** Absent or null: no key rotated itself into it. */
  readonly succeeds?: KeyId | null
  readonly expiresAt: Date | null
}

const COLUMNS = [
  'id',
  'project_id',
  'environment',
  'name',
  'scopes',
  'connection_id',
  'created_by',
  'succeeds',
  'created_at',
  'expires_at',
  'revoked_at',
  'allowed_addresses',
  'allowed_origins',
  'dpop_thumbprint',
  'certificate_thumbprint',
] as const
const USED = sql<Date | null>`(
  select u.used_at from sallyport.api_key_use u where u.org_id = sallyport.api_key.org_id and u.id = sallyport.api_key.id)`.as('used_at')
const SHOWN = [...COLUMNS, USED] as const

/** @throws DatabaseError `conflict` when the project, or the connection in the same project and environment, doesn't exist. */
export async function apiKeyInsert(tx: TenantTx, key: NewApiKey): Promise<ApiKey> {
  const row = await tx
    .insertInto('sallyport.api_key')
    .values({
      org_id: tx.org,
      id: key.id,
      project_id: key.project,
      environment: key.environment,
      name: key.name,
      secret_hmac: key.secretHmac,
      secret_argon2id: key.secretArgon2id,
      scopes: [...key.scopes],
      connection_id: key.connection,
      created_by: key.createdBy,
      succeeds: key.succeeds ?? null,
      expires_at: key.expiresAt,
      allowed_addresses: key.allowedAddresses ? [...key.allowedAddresses] : null,
      allowed_origins: key.allowedOrigins ? [...key.allowedOrigins] : null,
      dpop_thumbprint: key.sender?.kind === 'dpop' ? key.sender.thumbprint : null,
      certificate_thumbprint: key.sender?.kind === 'certificate' ? key.sender.thumbprint : null,
    })
    .returning(SHOWN)
    .executeTakeFirstOrThrow()
  return apiKey(row)
}

/** Oldest first; index api_key_list. `only`: those bound to this connection, null for all. */
export async function apiKeyList(tx: TenantTx, at: KeyPlace, only: ConnectionId | null, page: Page<KeyId>): Promise<ApiKey[]> {
  const rows = await tx
    .selectFrom('sallyport.api_key')
    .select(SHOWN)
    .where('org_id', '=', tx.org)
    .where(liesIn(at))
    .$if(only !== null, (query) => query.where('connection_id', '=', only))
    .$if(page.after !== undefined, (query) => query.where('id', '>', page.after!))
    .orderBy('id')
    .limit(page.limit)
    .execute()
  return rows.map(apiKey)
}

export async function apiKeyFind(tx: TenantTx, at: KeyPlace, id: KeyId): Promise<ApiKey | undefined> {
  const row = await tx
    .selectFrom('sallyport.api_key')
    .select(SHOWN)
    .where('org_id', '=', tx.org)
    .where('id', '=', id)
    .where(liesIn(at))
    .executeTakeFirst()
  return row && apiKey(row)
}

export interface Revocation {
  readonly key: ApiKey
  /** What this turned off: the key unless it was off before, and every key that it made or rotated itself into, and what came of those. */
  readonly ended: readonly ApiKey[]
}

/**
 * How many keys of the organization are on, its own and those of its projects, counted no further than `most`. Keys that are being made at this
 * moment are not among them. Index api_key_on.
 */
export async function apiKeysOn(tx: TenantTx, most: number): Promise<number> {
  const { rows } = await sql<{ count: number }>`
    select count(*)::int as count from (
      (select 1 from sallyport.api_key where org_id = ${tx.org} and revoked_at is null and expires_at is null limit ${most})
      union all
      (select 1 from sallyport.api_key where org_id = ${tx.org} and revoked_at is null and expires_at > clock_timestamp() limit ${most})
    ) as found`.execute(tx)
  return Math.min(rows[0]!.count, most)
}

/**
 * Whether a key is on, and held so until the end of the transaction: whoever revokes it meanwhile waits, and then finds what it made. For its
 * expiry and its own makers ask `key_lookup`.
 */
export async function apiKeyHold(tx: TenantTx, id: KeyId): Promise<boolean> {
  const row = await tx
    .selectFrom('sallyport.api_key')
    .select('id')
    .where('org_id', '=', tx.org)
    .where('id', '=', id)
    .where('revoked_at', 'is', null)
    .forShare()
    .executeTakeFirst()
  return row !== undefined
}

/** Turns a key off for good, at the database's time, and with it all that came of it. Repeating it keeps the first time. */
export async function apiKeyRevoke(tx: TenantTx, at: KeyPlace, id: KeyId): Promise<Revocation | undefined> {
  const line = await lockLine(tx, { at, id }, 'made and successors')
  if (line.length === 0) return undefined
  const ended = await revokeAll(tx, line)
  const key = await apiKeyFind(tx, at, id)
  return key && { key, ended }
}

/** The same of every key of the organization that a person made. What this turned off; those with `createdBy` of another come of them. */
export async function apiKeyRevokeOf(tx: TenantTx, createdBy: string): Promise<readonly ApiKey[]> {
  const line = await lockLine(tx, { createdBy }, 'made and successors')
  return line.length === 0 ? [] : revokeAll(tx, line)
}

async function revokeAll(tx: TenantTx, ids: readonly KeyId[]): Promise<ApiKey[]> {
  const ended: ApiKey[] = []
  for (const some of batchesOf(ids)) {
    const rows = await tx
      .updateTable('sallyport.api_key')
      .set({ revoked_at: sql<Date>`clock_timestamp()` })
      .where('org_id', '=', tx.org)
      .where(isAmong(some))
      .where('revoked_at', 'is', null)
      .returning(SHOWN)
      .execute()
    for (const row of rows) {
      noteChange(tx, 'api_key', row.id)
      ended.push(apiKey(row))
    }
  }
  return ended
}

/** Gives the keys that are on and that one person made to another, what one of them rotates itself into meanwhile too. Their ids; each works on as it is. */
export async function apiKeyTakeOver(tx: TenantTx, from: string, to: string): Promise<readonly KeyId[]> {
  await lockLine(tx, { createdBy: from }, 'made and successors')
  const rows = await tx
    .updateTable('sallyport.api_key')
    .set({ created_by: to })
    .where('org_id', '=', tx.org)
    .where('created_by', '=', from)
    .where('revoked_at', 'is', null)
    .returning('id')
    .execute()
  for (const { id } of rows) noteChange(tx, 'api_key', id)
  return rows.map(({ id }) => id)
}

/** What of a key may be changed later. Absent stays as it is. */
export interface KeyChange {
  readonly name?: string
  readonly allowedAddresses?: readonly string[] | null
  readonly allowedOrigins?: readonly string[] | null
}

/**
 * Changes a key that is on; undefined when there is none. Every key that came of it is written too, unchanged, so that all nodes read it anew:
 * what holds for a maker holds for them.
 */
export async function apiKeyUpdate(tx: TenantTx, at: KeyPlace, id: KeyId, change: KeyChange): Promise<ApiKey | undefined> {
  const line = await lockLine(tx, { at, id }, 'made')
  if (line.length === 0) return undefined
  const { name, allowedAddresses, allowedOrigins } = change
  const row = await tx
    .updateTable('sallyport.api_key')
    .set({
      ...(name === undefined ? {} : { name }),
      ...(allowedAddresses === undefined ? {} : { allowed_addresses: allowedAddresses && [...allowedAddresses] }),
      ...(allowedOrigins === undefined ? {} : { allowed_origins: allowedOrigins && [...allowedOrigins] }),
    })
    .where('org_id', '=', tx.org)
    .where('id', '=', id)
    .where('revoked_at', 'is', null)
    .returning(SHOWN)
    .executeTakeFirst()
  if (row === undefined) return undefined
  noteChange(tx, 'api_key', id)
  const holdsBelow = allowedAddresses !== undefined || allowedOrigins !== undefined
  const below = holdsBelow ? line.filter((one) => one !== id) : []
  if (below.length > 0) await announce(tx, below)
  return apiKey(row)
}

export interface Succession {
  /** As it was. */
  readonly before: ApiKey
  readonly after: ApiKey
}

/**
 * Lets a key that is on go on for `overlapS` seconds at most, by the database's clock, never longer than before; undefined when there is none.
 * What it made ends with it, so that all nodes read that anew, too. What it rotated itself into ends with it as well, unless it is `itself` that
 * asks: whoever replaces a key may do so because its secret was read, and somebody else then turned it.
 */
export async function apiKeyOutlive(
  tx: TenantTx,
  at: KeyPlace,
  id: KeyId,
  { overlapS, itself }: { readonly overlapS: number; readonly itself: boolean },
): Promise<Succession | undefined> {
  const line = await lockLine(tx, { at, id }, itself ? 'made' : 'made and successors')
  const before = line.length === 0 ? undefined : await apiKeyFind(tx, at, id)
  if (before === undefined) return undefined
  const row = await tx
    .updateTable('sallyport.api_key')
    .set({ expires_at: sql<Date>`least(expires_at, clock_timestamp() + make_interval(secs => ${overlapS}::double precision))` })
    .where('org_id', '=', tx.org)
    .where('id', '=', id)
    .where('revoked_at', 'is', null)
    .where((row) => row.or([row('expires_at', 'is', null), row('expires_at', '>', sql<Date>`clock_timestamp()`)]))
    .returning(SHOWN)
    .executeTakeFirst()
  if (row === undefined) return undefined
  noteChange(tx, 'api_key', id)
  const below = line.filter((one) => one !== id)
  if (below.length > 0) await (itself ? announce(tx, below) : endWith(tx, row.expires_at!, below))
  return { before, after: apiKey(row) }
}

/** Keys go on no longer than until `end`. */
async function endWith(tx: TenantTx, end: Date, ids: readonly KeyId[]): Promise<void> {
  for (const some of batchesOf(ids)) {
    await tx
      .updateTable('sallyport.api_key')
      .set({ expires_at: sql<Date>`least(expires_at, ${end}::timestamptz)` })
      .where('org_id', '=', tx.org)
      .where(isAmong(some))
      .execute()
  }
  for (const id of ids) noteChange(tx, 'api_key', id)
}

/** Writes rows as they are: the trigger on the table tells every node. */
async function announce(tx: TenantTx, ids: readonly KeyId[]): Promise<void> {
  for (const some of batchesOf(ids)) {
    await tx
      .updateTable('sallyport.api_key')
      .set((row) => ({ name: row.ref('name') }))
      .where('org_id', '=', tx.org)
      .where(isAmong(some))
      .execute()
  }
  for (const id of ids) noteChange(tx, 'api_key', id)
}

/** Keys that one statement writes. A line is as long as its keys made it, and none may be too long to be revoked. */
const BATCH = 5_000

function* batchesOf(ids: readonly KeyId[]): Generator<readonly KeyId[]> {
  for (let at = 0; at < ids.length; at += BATCH) yield ids.slice(at, at + BATCH)
}

/** As one parameter: a statement takes 65,535 of them. */
function isAmong(ids: readonly KeyId[]) {
  return sql<boolean>`sallyport.api_key.id = any(${[...ids]}::uuid[])`
}

/** Which keys came of a key: those that it made, and those made; or these and the ones that it rotated itself into, with all that came of them. */
type Descent = 'made' | 'made and successors'

/** One key, or all that somebody made. */
type LineStart = { readonly at: KeyPlace; readonly id: KeyId } | { readonly createdBy: string }

/** The key and all that came of it, locked until the end of the transaction. Until one look finds no more: a lock may have waited for a key being made. */
async function lockLine(tx: TenantTx, from: LineStart, descent: Descent): Promise<readonly KeyId[]> {
  let line = await lockSeenLine(tx, from, descent)
  for (let seen = 0; line.length > seen;) {
    seen = line.length
    line = await lockSeenLine(tx, from, descent)
  }
  return line
}

/** As it stands when the statement begins, locked in the order of ids, so that two who revoke along one line wait and don't block. */
async function lockSeenLine(tx: TenantTx, from: LineStart, descent: Descent): Promise<readonly KeyId[]> {
  const rows = await tx
    .withRecursive('line(id)', (db) =>
      db
        .selectFrom('sallyport.api_key')
        .select('id')
        .where('org_id', '=', tx.org)
        .where((key) =>
          'createdBy' in from ? key('created_by', '=', from.createdBy) : key.and([key('id', '=', from.id), liesIn(from.at)(key)]),
        )
        // Without ALL: a circle, which no gateway makes, ends.
        .union(
          db
            .selectFrom('sallyport.api_key as made')
            .innerJoin('line', (join) =>
              join.on((made) => {
                const byIt = made('made.maker', '=', made.ref('line.id'))
                return descent === 'made' ? byIt : made.or([byIt, made('made.succeeds', '=', made.ref('line.id'))])
              }),
            )
            .select('made.id')
            .where('made.org_id', '=', tx.org),
        ),
    )
    .selectFrom('sallyport.api_key as key')
    .select('key.id')
    .where('key.org_id', '=', tx.org)
    .where('key.id', 'in', (db) => db.selectFrom('line').select('line.id'))
    .orderBy('key.id')
    .forUpdate()
    .execute()
  return rows.map((row) => row.id)
}

type Row = Pick<Selectable<Schema['sallyport.api_key']>, (typeof COLUMNS)[number]> & { readonly used_at: Date | null }

function apiKey(row: Row): ApiKey {
  return {
    id: row.id,
    project: row.project_id,
    environment: row.environment,
    name: row.name,
    scopes: row.scopes,
    connection: row.connection_id,
    allowedAddresses: row.allowed_addresses,
    allowedOrigins: row.allowed_origins,
    sender: keySender(row.dpop_thumbprint, row.certificate_thumbprint),
    createdBy: row.created_by,
    succeeds: row.succeeds,
    createdAt: row.created_at,
    expiresAt: row.expires_at,
    revokedAt: row.revoked_at,
    lastUsedAt: row.used_at,
  }
}

function liesIn({ project, environment }: KeyPlace) {
  return (key: ExpressionBuilder<Schema, 'sallyport.api_key'>) =>
    key.and([
      project === null ? key('project_id', 'is', null) : key('project_id', '=', project),
      ...(environment === null ? [] : [key('environment', '=', environment)]),
    ])
}

/** The two columns as one. */
export function keySender(dpop: string | null, certificate: string | null): KeySender | null {
  if (dpop !== null) return { kind: 'dpop', thumbprint: dpop }
  return certificate === null ? null : { kind: 'certificate', thumbprint: certificate }
}
