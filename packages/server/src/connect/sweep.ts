/**
 * Owns the clearing of what expired: states, links, sessions, connections nobody confirmed. Refuses two sweeps at a time on one node, and to
 * take a connection back without an event that says so.
 */
import { formatId, hasCode } from '@sallyport/core'
import type { ConnectSessionId, OrgId } from '@sallyport/core'
import { appendAudit } from '../audit/index.ts'
import { connectSessionFail, isBusy } from '../db/index.ts'
import { takeBackPending } from '../revocation/index.ts'
import type { ConnectContext } from './options.ts'
import { connectionOf } from './store.ts'

const BATCH = 1000

/**
 * Sweeps batch after batch until nothing is left. One that is under way is joined. Safe on any number of nodes.
 * @throws DatabaseError; what one organization refuses is left for the next sweep and thrown after the others were served.
 */
export function createSweep(context: ConnectContext): () => Promise<void> {
  let underWay: Promise<void> | undefined
  return () => {
    underWay ??= sweep(context).finally(() => (underWay = undefined))
    return underWay
  }
}

async function sweep(context: ConnectContext): Promise<void> {
  try {
    await takeBackUnconfirmed(context)
  } finally {
    // One organization that refuses, again and again, keeps nothing from being cleared.
    await clearExpired(context)
  }
}

async function clearExpired({ database, logger }: ConnectContext): Promise<void> {
  for (;;) {
    const counts = await database.lookups.sweepExpired(BATCH)
    const each = Object.values(counts)
    if (each.some((count) => count > 0)) logger.debug('expired rows were cleared', { ...counts })
    if (each.every((count) => count < BATCH)) return
  }
}

async function takeBackUnconfirmed(context: ConnectContext): Promise<void> {
  for (;;) {
    const due = await context.database.lookups.unconfirmedConnections(BATCH)
    const failures: unknown[] = []
    for (const { org, session } of due) {
      try {
        await takeBack(context, org, session)
      } catch (error) {
        if (hasCode(error, 'database_unavailable') && !isBusy(error)) throw error
        failures.push(error)
      }
    }
    if (failures.length > 0) throw new AggregateError(failures, 'connections that nobody confirmed could not be taken back')
    if (due.length < BATCH) return
  }
}

/**
 * The session first: a confirmation under way holds its row, and its end decides both. The reference to the connection goes with it, else
 * deleting the connection would take the session along, and with it the answer to what became of it.
 */
function takeBack({ database, vault }: ConnectContext, org: OrgId, session: ConnectSessionId): Promise<void> {
  return database.withTenant(org, async (tx) => {
    await connectSessionFail(tx, session, 'connect_session_invalid')
    // Confirmed meanwhile, or taken back by another node, whose event says so.
    if (!(await takeBackPending(tx, vault, connectionOf(session)))) return
    const detail = { code: 'connect_session_invalid' }
    await appendAudit(tx, { action: 'connect_session.failed', actor: 'system', target: formatId('cs', session), detail })
  })
}
