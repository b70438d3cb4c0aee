/** Owns storing a state before the browser leaves. Refuses to read one back: `Lookups.oauthStateConsume` takes it out, once. */
import { sql } from 'kysely'
import type { ConnectSessionId } from '@sallyport/core'
import type { TenantTx } from '../tenant.ts'

export interface NewOAuthState {
  readonly stateHash: Buffer
  readonly connectSession: ConnectSessionId
  readonly context: string
  readonly browserHash: Buffer
  /** The PKCE verifier as an envelope. */
  readonly verifier: Buffer
  readonly ttlSeconds: number
}

/** Also drops the organization's expired ones, so that flows nobody finished leave nothing behind. */
export async function oauthStateInsert(tx: TenantTx, state: NewOAuthState): Promise<void> {
  await tx
    .deleteFrom('sallyport.oauth_state')
    .where('org_id', '=', tx.org)
    .where('expires_at', '<', sql<Date>`clock_timestamp()`)
    .execute()
  await tx
    .insertInto('sallyport.oauth_state')
    .values({
      org_id: tx.org,
      state_hash: state.stateHash,
      connect_session_id: state.connectSession,
      context: state.context,
      browser_hash: state.browserHash,
      verifier: state.verifier,
      expires_at: sql<Date>`clock_timestamp() + make_interval(secs => ${state.ttlSeconds})`,
    })
    .execute()
}
