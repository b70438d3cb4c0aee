/**
 * Owns forgetting an end user: every connection ended, and taken back at its provider; sessions under way, the connections themselves, the keys bound
 * to them gone; the paths of their calls out of the records. Refuses to touch the audit log, which knows them by ids of ours alone.
 *
 * Steps that a kill may part: what is done stays done, and asking again does the rest, because the rows that tell whose records they are go last.
 */
import { formatId } from '@sallyport/core'
import type { ConnectionId, OrgId, RequestId } from '@sallyport/core'
import { appendAudit } from '../audit/index.ts'
import { endUserConnections, endUserDelete, requestRecordErase } from '../db/index.ts'
import type { Database, ErasedEndUser, Place } from '../db/index.ts'
import type { Vault } from '../vault/index.ts'
import { endConnections } from './ending.ts'

export interface Erasure extends ErasedEndUser {
  /** Grants that their providers are now told about. */
  readonly revocations: number
}

interface Erasing {
  readonly database: Pick<Database, 'withTenant'>
  readonly vault: Pick<Vault, 'seal' | 'openIn'>
}

const RECORDS = 5_000

/** Answers zeros for one of whom nothing is known. Safe to repeat and to race. */
export async function eraseEndUser(
  { database, vault }: Erasing,
  org: OrgId,
  at: Place,
  endUserId: string,
  actor: string,
): Promise<Erasure> {
  const ending = { actor, cause: 'end_user_deleted', tellProvider: true } as const
  const { ids, ended } = await database.withTenant(org, async (tx) => {
    const ids = await endUserConnections(tx, at, endUserId)
    return { ids, ended: await endConnections(tx, vault, ids, ending) }
  })
  await eraseRecords(database, org, at, ids)
  return database.withTenant(org, async (tx) => {
    // One that was connected while the records were gone through ends here.
    const late = await endConnections(tx, vault, await endUserConnections(tx, at, endUserId), ending)
    const erased = await endUserDelete(tx, at, endUserId)
    if (erased.connections + erased.sessions > 0) {
      const detail = {
        connections: ids.map((id) => formatId('conn', id)),
        sessions: erased.sessions,
        keys: erased.keys.map((id) => formatId('key', id)),
      }
      await appendAudit(tx, {
        action: 'end_user.deleted',
        actor,
        target: formatId('proj', at.project),
        detail: { ...detail, environment: at.environment },
      })
    }
    return { ...erased, revocations: [...ended, ...late].filter(({ revocation }) => revocation !== null).length }
  })
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
