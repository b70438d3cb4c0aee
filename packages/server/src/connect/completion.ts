/**
 * Owns the application's confirmation that the browser which came back belongs to the user it was meant for. Refuses guessing (five codes, then
 * the session has failed) and any other user: what was authorized is then taken back.
 */
import { digestEquals, formatId, sha256 } from '@sallyport/core'
import type { ConnectSessionId, Secret } from '@sallyport/core'
import { appendAudit } from '../audit/index.ts'
import { connectionFind, connectSessionCountAttempt, connectSessionFail, connectSessionFind, connectSessionUpdate } from '../db/index.ts'
import type { Connection, ConnectSession, TenantTx } from '../db/index.ts'
import { principalRef } from '../identity/index.ts'
import type { Principal } from '../identity/index.ts'
import { takeBackPending } from '../revocation/index.ts'
import { ConnectError } from './errors.ts'
import { readFlow } from './flow.ts'
import type { ConnectContext } from './options.ts'
import { absent, requireReach } from './session.ts'
import type { ConnectPlace } from './session.ts'
import { connectionOf, storeConfirmed } from './store.ts'

export interface Confirmation {
  readonly code: Secret
  /** The user signed in where the browser came back, as the application knows it now. */
  readonly endUserId: string
}

/**
 * Makes the connection usable. Repeating a confirmation that succeeded gives the same connection again and changes nothing.
 * @throws ConnectError `not_found`; `connect_session_invalid` when nothing waits here; `forbidden` for a wrong code; `connect_user_mismatch`
 * for another user, after which nothing of the authorization is left.
 */
export async function completeSession(
  context: ConnectContext,
  principal: Principal,
  place: ConnectPlace,
  id: ConnectSessionId,
  confirmation: Confirmation,
): Promise<Connection> {
  const result = await context.database.withTenant(place.org, async (tx) => {
    // The first statement locks the session: confirmations of one session stand in line.
    await connectSessionCountAttempt(tx, id)
    const session = await connectSessionFind(tx, id, place)
    if (session === undefined) throw absent()
    requireReach(principal, session.connection)
    const refusal = await judge(context, tx, session, confirmation, principalRef(principal))
    if (refusal !== undefined) return refusal
    return (await confirmed(context, tx, session, principal)) ?? absent()
  })
  // Refusals are returned out of the transaction and not thrown in it: what they wrote down must stay.
  if (result instanceof ConnectError) throw result
  return result
}

async function judge(
  context: ConnectContext,
  tx: TenantTx,
  session: ConnectSession,
  { code, endUserId }: Confirmation,
  actor: string,
): Promise<ConnectError | undefined> {
  const waits = session.status === 'awaiting_confirmation' && !session.expired
  const knows = session.completionHash !== null && digestEquals(session.completionHash, sha256(code))
  const sameUser = session.endUserId === endUserId
  if (session.status === 'completed' && knows && sameUser) return undefined
  if (!waits) return new ConnectError('connect_session_invalid', 'the session does not wait for a confirmation')
  if (!knows) return wrongCode(context, tx, session, actor)
  if (sameUser) return undefined
  await takeBack(context, tx, session, 'connect_user_mismatch', actor)
  return new ConnectError('connect_user_mismatch', 'the application confirmed another user')
}

async function wrongCode(context: ConnectContext, tx: TenantTx, session: ConnectSession, actor: string): Promise<ConnectError> {
  const left = context.limits.completionAttempts - session.completionAttempts
  if (left <= 0) await takeBack(context, tx, session, 'connect_session_invalid', actor)
  else await audit(tx, session, 'connect_session.refused', actor, 'forbidden')
  const publicDetail =
    left <= 0 ? 'The code is wrong, and was so too often: the connect session has failed.' : `The code is wrong. Tries left: ${left}.`
  return new ConnectError('forbidden', 'a wrong completion code', { publicDetail })
}

/** Nothing of the authorization stays: what the provider gave out is forgotten here, and taken back there. */
async function takeBack(
  { vault }: ConnectContext,
  tx: TenantTx,
  session: ConnectSession,
  failure: ConnectError['code'],
  actor: string,
): Promise<void> {
  await connectSessionFail(tx, session.id, failure)
  await takeBackPending(tx, vault, connectionOf(session.id))
  await audit(tx, session, 'connect_session.failed', actor, failure)
}

async function confirmed(
  context: ConnectContext,
  tx: TenantTx,
  session: ConnectSession,
  principal: Principal,
): Promise<Connection | undefined> {
  if (session.status === 'completed') return session.connection === null ? undefined : connectionFind(tx, session, session.connection)
  const flow = await readFlow(context, tx, session.id)
  const id = await storeConfirmed(context, tx, flow, principalRef(principal))
  await connectSessionUpdate(tx, session.id, ['awaiting_confirmation'], { status: 'completed', connection: id })
  return connectionFind(tx, session, id)
}

function audit(tx: TenantTx, session: ConnectSession, action: string, actor: string, code: string): Promise<void> {
  return appendAudit(tx, { action, actor, target: formatId('cs', session.id), detail: { code } })
}
