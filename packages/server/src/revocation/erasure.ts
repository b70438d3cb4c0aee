/**
 * Owns forgetting an end user: every connection ended, and taken back at its provider; sessions under way, the connections themselves, the keys bound
 * to them gone; the paths of their calls out of the records, and their name out of what model calls used; what is kept of those gone. Refuses to touch the audit
 * log, which knows them by ids of ours alone.
 *
 * Steps that a kill may part: what is done stays done, and asking again does the rest, because the rows that tell whose records they are go last.
 */
import { formatId } from '@sallyport/core'
import type { ConnectionId, KeyId, OrgId, RequestId } from '@sallyport/core'
import { appendAudit } from '../audit/index.ts'
import {
  apiKeyListBound,
  connectionDeleteEnded,
  endUserConnections,
  endUserDropSessions,
  endUserForget,
  requestRecordErase,
  storedContentCountOfEndUser,
  storedContentDeleteOfEndUser,
  usageForgetUser,
} from '../db/index.ts'
import type { Database, Place } from '../db/index.ts'
import type { Vault } from '../vault/index.ts'
import { endConnections } from './ending.ts'

export interface Erasure {
  readonly connections: number
  readonly sessions: number
  /** Rows of what their model calls used: whose they are is not known any more. */
  readonly usageRecords: number
  /** Keys that were bound to one of the connections. */
  readonly keys: readonly KeyId[]
  /** Grants that their providers are now told about. */
  readonly revocations: number
  /** Prompts and answers of model calls that were kept. */
  readonly contents: number
}

interface Erasing {
  readonly database: Pick<Database, 'withTenant'>
  readonly vault: Pick<Vault, 'seal' | 'openIn'>
}

const RECORDS = 5_000
/** Of what is kept of calls, which is larger. */
const CONTENTS = 200

/**
 * Answers zeros for one of whom nothing is known; calls under way for them are written without their name even so. Safe to repeat and to race. What the
 * user connects anew meanwhile is not touched.
 */
export async function eraseEndUser(
  { database, vault }: Erasing,
  org: OrgId,
  at: Place,
  endUserId: string,
  actor: string,
): Promise<Erasure> {
  // Apart, and first: whatever names them after this was done after it, and whatever named them before is there to be found.
  await database.withTenant(org, (tx) => endUserForget(tx, at, endUserId))
  const ending = { actor, cause: 'end_user_deleted', tellProvider: true } as const
  const { ids, used, ...erased } = await database.withTenant(org, async (tx) => {
    // First: whoever writes what calls used comes to it before the audit log too.
    const used = await usageForgetUser(tx, at, endUserId, RECORDS)
    const sessions = await endUserDropSessions(tx, at, endUserId)
    const ids = await endUserConnections(tx, at, endUserId)
    const keys = await apiKeyListBound(tx, ids)
    const ended = await endConnections(tx, vault, ids, ending)
    const contents = await storedContentCountOfEndUser(tx, at, endUserId)
    if (ids.length + sessions + used + contents > 0) await appendAudit(tx, event(at, actor, { ids, sessions, keys, contents }))
    const revocations = ended.filter(({ revocation }) => revocation !== null).length
    return { ids, used, connections: ids.length, sessions, keys, revocations, contents }
  })
  const usageRecords = used < RECORDS ? used : used + (await eraseUsage(database, org, at, endUserId))
  if (erased.contents > 0) await eraseContents(database, org, at, endUserId)
  await eraseRecords(database, org, at, ids)
  await database.withTenant(org, (tx) => connectionDeleteEnded(tx, ids, erased.keys))
  return { ...erased, usageRecords }
}

interface Forgotten {
  readonly ids: readonly ConnectionId[]
  readonly sessions: number
  readonly keys: readonly KeyId[]
  readonly contents: number
}

function event({ project, environment }: Place, actor: string, { ids, sessions, keys, contents }: Forgotten) {
  const connections = ids.map((id) => formatId('conn', id))
  const detail = { environment, connections, sessions, keys: keys.map((id) => formatId('key', id)), stored_contents: contents }
  return { action: 'end_user.deleted', actor, target: formatId('proj', project), detail }
}

/** Ids begin with their time: no record of a connection is older than the connection. */
async function eraseRecords(database: Pick<Database, 'withTenant'>, org: OrgId, at: Place, ids: readonly ConnectionId[]): Promise<void> {
  const [first] = ids
  if (first === undefined) return
  let after: RequestId | string | undefined = first
  do {
    const from: string = after
    after = await database.withTenant(org, (tx) => requestRecordErase(tx, at, { connections: ids, after: from, limit: RECORDS }))
  } while (after !== undefined)
}

async function eraseContents(database: Pick<Database, 'withTenant'>, org: OrgId, at: Place, endUserId: string): Promise<void> {
  while ((await database.withTenant(org, (tx) => storedContentDeleteOfEndUser(tx, at, endUserId, CONTENTS))) === CONTENTS);
}

/** The rest of their rows, and then their days. How many. */
async function eraseUsage(database: Pick<Database, 'withTenant'>, org: OrgId, at: Place, endUserId: string): Promise<number> {
  for (let all = 0; ;) {
    const found = await database.withTenant(org, (tx) => usageForgetUser(tx, at, endUserId, RECORDS))
    all += found
    if (found < RECORDS) return all
  }
}
