/**
 * Owns the questions asked before a tenant is known. Each is one narrow SECURITY DEFINER function of the database and one round trip;
 * refuses every other way to a row without a tenant.
 */
import type { Pool } from 'pg'
import type { Role, Scope } from '@sallyport/contract'
import type {
  BulkRevocationId,
  ConnectSessionId,
  ConnectionId,
  Environment,
  EventSourceId,
  IntegrationId,
  InvitationId,
  KeyId,
  OrgId,
  ProjectId,
  RevocationId,
  UserId,
} from '@sallyport/core'
import { DatabaseError, translated } from './errors.ts'
import { gathered } from './gathered.ts'
import type { AuditUseMode } from './schema.ts'

export interface KeyRecord {
  readonly org: OrgId
  readonly id: KeyId
  /** Null: of the organization. */
  readonly project: ProjectId | null
  readonly environment: Environment
  /** Rises when the stored hashes change; what was verified for one version says nothing of the next. */
  readonly version: number
  readonly secretHmac: Buffer
  readonly secretArgon2id: string
  readonly scopes: readonly Scope[]
  readonly connection: ConnectionId | null
  /** The earliest in the line of its makers, itself included; so is `revokedAt`. */
  readonly expiresAt: Date | null
  readonly revokedAt: Date | null
  /** How many keys stand above it: its maker, that one's maker, and so on. */
  readonly makers: number
  /** The lists of address ranges along the line of its makers, its own first: a call must come from within each. */
  readonly allowedAddresses: readonly (readonly string[])[]
  /** The lists of origins along the same line: a call must come from a page that each of them has. */
  readonly allowedOrigins: readonly (readonly string[])[]
  /** RFC 7638 thumbprint of the JWK that its user proves. */
  readonly dpopThumbprint: string | null
  /** RFC 8705 thumbprint of the certificate that its user proves. */
  readonly certificateThumbprint: string | null
  readonly auditUseMode: AuditUseMode
  /** The database's clock at the moment of the answer: expiry is judged against it, on every node alike. */
  readonly now: Date
}

export interface SessionRecord {
  readonly userId: UserId
  readonly name: string
  readonly expiresAt: Date
}

/** How one session, or one token, was signed in: what that token said, and nothing else that is known of its person. */
export interface SignIn {
  /** The issuer's text; `local`: a one-time link of this installation. */
  readonly issuer: string
  /** `amr` of the token, as the issuer names its methods. */
  readonly methods: readonly string[]
  /** `aal2`: with a second factor. */
  readonly assurance: 'aal1' | 'aal2'
  /** The identity provider behind the issuer, where this sign-in is proven to have gone through it. */
  readonly provider: string | null
  /** SHA-256 that names the session at the issuer; null when the issuer names none. */
  readonly issuerSession: Buffer | null
  /** When the person proved who they are, as far as the issuer says; never later than the token. */
  readonly authenticatedAt: Date
}

/** What a person is in one organization. */
export interface Standing {
  readonly org: OrgId
  readonly role: Role
  /** The organization's sign-in policy as it is stored, unjudged; null: it has none. */
  readonly signIn: unknown
  /** The organization is on its way out. */
  readonly closing?: boolean
}

/** A session as it is read back. */
export interface SessionStanding extends SessionRecord {
  /** Believed: an issuer that may speak for it called it verified. */
  readonly email: string | null
  readonly now: Date
  readonly signIn: SignIn
  readonly standings: readonly Standing[]
}

/** What an issuer says of a person in a token that was verified. */
export interface PersonClaims {
  /** Used when nobody is known by issuer and subject. */
  readonly id: UserId
  readonly issuer: string
  readonly subject: string
  readonly name: string
  /** In lower case; null: none that is believed. */
  readonly email: string | null
  readonly issuerSession: Buffer | null
  readonly issuedAt: Date
}

/** What a logout token says, verified. */
export interface LogoutOrder {
  /** Over the issuer and its name of the token. */
  readonly tokenHash: Uint8Array
  /** How long the token could come again. */
  readonly keepS: number
  readonly issuer: string
  /** Null: every session of the subject. */
  readonly issuerSession: Uint8Array | null
  /** How long tokens of that session are refused, 400 days at most. */
  readonly lifeS: number
  readonly subject: string | null
  /** Used when nobody is known by issuer and subject. */
  readonly id: UserId
}

export interface PersonStanding {
  readonly userId: UserId
  readonly name: string
  readonly email: string | null
  /** The token's session, or every token of its age, is over. */
  readonly ended: boolean
  readonly now: Date
  readonly standings: readonly Standing[]
}

export interface OAuthStateRecord {
  readonly org: OrgId
  readonly connectSession: ConnectSessionId
  readonly context: string
  readonly browserHash: Buffer
  readonly verifier: Buffer
  /** By the database's clock. The state is gone either way. */
  readonly expired: boolean
}

/** A revocation that this node has taken. `attempt` names this taking: by it alone it is settled. */
export interface ClaimedRevocation {
  readonly org: OrgId
  readonly id: RevocationId
  readonly integration: IntegrationId
  readonly attempt: number
}

/** What one sweep cleared, by kind of row. See 0009_unconfirmed.sql. */
export interface SweepCounts {
  readonly states: number
  readonly sessions: number
  readonly links: number
  readonly connectSessions: number
}

export interface ConnectionPlace {
  readonly org: OrgId
  readonly connection: ConnectionId
}

/** Hashes are the 32 bytes of SHA-256. Every method throws `database_unavailable` when it can't ask. */
export interface Lookups {
  /** The key with this id, revoked and expired ones too: judging is the caller's. Those that come in a crowd are asked about together. */
  keyLookup(id: KeyId): Promise<KeyRecord | undefined>
  /**
   * Writes down that keys of whichever organizations were used, each so many seconds ago, an hour at most; to the minute. A key that is gone is passed
   * over. How many rows that changed.
   */
  keyUseNote(used: readonly { readonly key: KeyId; readonly ageS: number }[]): Promise<number>
  /** The person (issuer, subject): the one that exists, or a new one with `id` and `name`. Safe to race and to repeat. */
  personUpsert(person: { id: UserId; issuer: string; subject: string; name: string }): Promise<UserId>
  /** Whose an invitation is, by its token's hash. Everything else of it is read inside its organization. */
  invitationLookup(tokenHash: Uint8Array): Promise<{ readonly org: OrgId; readonly id: InvitationId } | undefined>
  /** Stores a one-time link. At most a day of life. */
  ownerLinkPut(link: { hash: Uint8Array; person: UserId; ttlSeconds: number }): Promise<void>
  /** Trades a one-time link for a session; undefined for an unknown, used or expired link. Of two callers with one link, one gets it. */
  sessionOpen(trade: { linkHash: Uint8Array; sessionHash: Uint8Array; ttlSeconds: number }): Promise<SessionRecord | undefined>
  /** The session and what its person is where, read now. Undefined when there is none or it has expired. */
  sessionLookup(hash: Uint8Array): Promise<SessionStanding | undefined>
  /** The person of a token that was verified, as its issuer says now, made when unknown, and what it is where. Safe to race and to repeat. */
  personSignIn(claims: PersonClaims): Promise<PersonStanding>
  /** The same read again, of one whom that has made; undefined when the person is gone. */
  personStanding(person: UserId, issuerSession: Uint8Array | null): Promise<PersonStanding | undefined>
  /**
   * Opens a session for a token that was verified and made at `issuedAt`; undefined when the token's own session is over, or every token of its age. A
   * sign-out of the same moment either refuses it or ends it.
   */
  sessionOpenAs(made: {
    person: UserId
    sessionHash: Uint8Array
    ttlSeconds: number
    signIn: SignIn
    issuedAt: Date
  }): Promise<SessionRecord | undefined>
  /** Ends a session at an issuer, here: its console sessions end, its tokens are refused for `lifeS`, 400 days at most. False: it was over. */
  signInEnd(issuerSession: Uint8Array, lifeS: number): Promise<boolean>
  /** Ends every session of (issuer, subject) that began before now, and the tokens issued before. False: nobody is known by that. */
  personSignOut(person: { issuer: string; subject: string }): Promise<boolean>
  /**
   * Carries out a logout token, once, in one commit: that session at the issuer, or without one all of the subject's. The people it concerned, as far as
   * they are known here; undefined when it was carried out before.
   */
  signInLogout(logout: LogoutOrder): Promise<readonly UserId[] | undefined>
  /** Ends a session. False when there was none. */
  sessionClose(hash: Uint8Array): Promise<boolean>
  /** Which connect session a link's token opens; everything else of it is read inside its tenant. */
  connectSessionLookup(linkHash: Uint8Array): Promise<{ org: OrgId; id: ConnectSessionId; expired: boolean } | undefined>
  /** Takes a state out, whatever else is wrong with the callback. Of two callers with one state, one gets it. */
  oauthStateConsume(stateHash: Uint8Array): Promise<OAuthStateRecord | undefined>
  /** Takes a proof of possession, for all nodes: of two who take one, one gets true. It is remembered for `lifeS` seconds, 3,600 at most. */
  proofTake(hash: Uint8Array, lifeS: number): Promise<boolean>
  /** Forgets proofs whose time is over, at most `batch` (10,000). How many. */
  proofSweep(batch: number): Promise<number>
  /** Clears what expired, of every tenant, at most `batch` rows (10,000) of each kind. A full count says there may be more. */
  sweepExpired(batch: number): Promise<SweepCounts>
  /** Connections that nobody confirmed for 30 minutes, oldest first, at most `most` (10,000), each by the session that made it. */
  unconfirmedConnections(most: number): Promise<readonly { readonly org: OrgId; readonly session: ConnectSessionId }[]>
  /** Connections with a refresh that was begun and not ended, oldest first, at most `most` (1,000). */
  interruptedRefreshes(most: number): Promise<readonly ConnectionPlace[]>
  /** Usable connections whose head holds a refresh token and is from before `unusedSince`, oldest first, at most `most` (1,000). */
  idleCredentials(unusedSince: Date, most: number): Promise<readonly ConnectionPlace[]>
  /**
   * Takes revocations of whichever tenants that are due, at most `most` (100), for `seconds`, but none of the integrations `without`. Nobody else is
   * given them until then.
   */
  revocationClaim(claim: { most: number; seconds: number; without: readonly IntegrationId[] }): Promise<readonly ClaimedRevocation[]>
  /** Takes one bulk revocation that is due, for `seconds`. */
  bulkRevocationClaim(seconds: number): Promise<{ readonly org: OrgId; readonly id: BulkRevocationId } | undefined>
  /** Whether pages of this origin may call with a key of any project. */
  browserOriginKnown(origin: string): Promise<boolean>
  /** Says that a node is there, and gives how many, itself included, said so within `lifeS` seconds (3,600 at most). */
  nodeBeat(node: string, lifeS: number): Promise<number>
  /** Says that a node is gone. */
  nodeLeave(node: string): Promise<void>
  /** Forgets creations that began a day ago, at most `most` (10,000). How many. */
  idempotencySweep(most: number): Promise<number>
  /** Forgets the secrets of model providers' keys whose overlap is over, at most `most` (10,000). How many. */
  providerKeySweep(most: number): Promise<number>
  /** Removes what was kept of model calls and is over, at most `most` (10,000). How many. */
  storedContentSweep(most: number): Promise<number>
  /** Forgets what model calls used before so many days, and the days themselves; at most `most` (10,000) of each kind. How many of the kind with most. */
  usageSweep(days: { readonly records: number; readonly days: number }, most: number): Promise<number>
  /** Forgets who was forgotten two days ago, at most `most` (10,000). How many. */
  endUserForgottenSweep(most: number): Promise<number>
  /** Takes one deletion of an organization that is due, for `seconds`. */
  organizationDeletionClaim(seconds: number): Promise<OrgId | undefined>
  /** Whose an event source is, by the last segment of its address. */
  eventSourceLookup(context: string): Promise<{ readonly org: OrgId; readonly id: EventSourceId } | undefined>
  /** Forgets events received 30 days ago, at most `most` (10,000). How many. */
  eventReceiptSweep(most: number): Promise<number>
  /** Forgets revocations that were settled 30 days ago, at most `most` (10,000). How many. */
  revocationSweep(most: number): Promise<number>
  /** Ids of organizations, in order, at most `limit` (1,000). */
  organizationPage(page: { after?: OrgId | undefined; limit: number }): Promise<OrgId[]>
  /** The same of those with a data key that is under another root key than `primaryRoot`, no longer current, or made before `madeBefore`. */
  dataKeyWork(page: { primaryRoot: string; madeBefore: Date; after?: OrgId | undefined; limit: number }): Promise<OrgId[]>
  /** Organizations whose audit log is due for a checkpoint by `currentKey`: see 0022_audit_checkpoints.sql. */
  auditCheckpointDue(page: {
    currentKey: string
    events: number
    seconds: number
    after?: OrgId | undefined
    limit: number
  }): Promise<OrgId[]>
  /** Organizations that have an audit log, whether they are still there or not; the installation's own among them. */
  auditLogPage(page: { after?: OrgId | undefined; limit: number }): Promise<OrgId[]>
  /** How many data keys there are, over all organizations. */
  dataKeyCensus(of: { primaryRoot: string; madeBefore: Date }): Promise<DataKeyCensus>
}

export interface DataKeyCensus {
  readonly current: number
  readonly previous: number
  /** Under another root key than the primary. */
  readonly behind: number
  /** Current, and made before the moment that was asked about. */
  readonly overdue: number
  readonly oldestCurrent: Date | null
}

export function createLookups(pool: Pool): Lookups {
  const rows = async <Row extends object>(text: string, values: readonly unknown[]): Promise<Row[]> =>
    (await translated(() => pool.query<Row>(text, [...values]))).rows

  return {
    keyLookup: gathered(async (ids: readonly KeyId[]) => {
      const found = await rows<KeyLookupRow>('select * from sallyport.key_lookups($1::uuid[])', [ids])
      return new Map(found.map((row) => [row.id, keyRecord(row)]))
    }),
    async keyUseNote(used) {
      const values = [used.map(({ key }) => key), used.map(({ ageS }) => ageS)]
      const [row] = await rows<{ noted: string }>('select sallyport.key_use_note($1::uuid[], $2::int[]) as noted', values)
      return Number(row?.noted ?? unanswered())
    },
    async personUpsert({ id, issuer, subject, name }) {
      const [row] = await rows<{ id: UserId }>('select sallyport.person_upsert($1, $2, $3, $4) as id', [id, issuer, subject, name])
      return row?.id ?? unanswered()
    },
    async invitationLookup(tokenHash) {
      const [row] = await rows<{ org_id: OrgId; id: InvitationId }>('select * from sallyport.invitation_lookup($1)', [tokenHash])
      return row && { org: row.org_id, id: row.id }
    },
    async ownerLinkPut({ hash, person, ttlSeconds }) {
      await rows('select sallyport.owner_link_put($1, $2, $3)', [hash, person, ttlSeconds])
    },
    async sessionOpen({ linkHash, sessionHash, ttlSeconds }) {
      const [row] = await rows<SessionRow>('select * from sallyport.session_open($1, $2, $3)', [linkHash, sessionHash, ttlSeconds])
      return row && sessionRecord(row)
    },
    async sessionLookup(hash) {
      const [row] = await rows<SessionLookupRow>('select * from sallyport.session_lookup($1)', [hash])
      return row && sessionStanding(row)
    },
    async personSignIn({ id, issuer, subject, name, email, issuerSession, issuedAt }) {
      const text = 'select * from sallyport.person_sign_in($1, $2, $3, $4, $5, $6, $7, $8)'
      const values = [id, issuer, subject, name, email, email !== null, issuerSession, issuedAt]
      const [row] = await rows<PersonStandingRow>(text, values)
      return row === undefined ? unanswered() : personStanding(row)
    },
    async personStanding(person, issuerSession) {
      const [row] = await rows<PersonStandingRow>('select * from sallyport.person_standing($1, $2)', [person, issuerSession])
      return row && personStanding(row)
    },
    async sessionOpenAs({ person, sessionHash, ttlSeconds, signIn, issuedAt }) {
      const { issuer, methods, assurance, provider, issuerSession, authenticatedAt } = signIn
      const text = 'select * from sallyport.session_open_as($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)'
      const [row] = await rows<SessionRow>(text, [
        person,
        sessionHash,
        ttlSeconds,
        issuer,
        [...methods],
        assurance,
        provider,
        issuerSession,
        authenticatedAt,
        issuedAt,
      ])
      return row && sessionRecord(row)
    },
    async signInEnd(issuerSession, lifeS) {
      const [row] = await rows<{ ended: boolean }>('select sallyport.sign_in_end($1, $2) as ended', [issuerSession, lifeS])
      return row?.ended ?? unanswered()
    },
    async personSignOut({ issuer, subject }) {
      const [row] = await rows<{ known: boolean }>('select sallyport.person_sign_out($1, $2) as known', [issuer, subject])
      return row?.known ?? unanswered()
    },
    async signInLogout({ tokenHash, keepS, issuerSession, lifeS, id, issuer, subject }) {
      const text = 'select sallyport.sign_in_logout($1, $2, $3, $4, $5, $6, $7) as people'
      const [row] = await rows<{ people: UserId[] | null }>(text, [tokenHash, keepS, issuerSession, lifeS, id, issuer, subject])
      return row === undefined ? unanswered() : (row.people ?? undefined)
    },
    async sessionClose(hash) {
      const [row] = await rows<{ closed: boolean }>('select sallyport.session_close($1) as closed', [hash])
      return row?.closed ?? unanswered()
    },
    async connectSessionLookup(linkHash) {
      const [row] = await rows<ConnectLinkRow>('select * from sallyport.connect_session_lookup($1)', [linkHash])
      return row && { org: row.org_id, id: row.id, expired: row.expired }
    },
    async oauthStateConsume(stateHash) {
      const [row] = await rows<OAuthStateConsumedRow>('select * from sallyport.oauth_state_consume($1)', [stateHash])
      return row && stateRecord(row)
    },
    async proofTake(hash, lifeS) {
      const [row] = await rows<{ taken: boolean }>('select sallyport.proof_take($1, $2) as taken', [hash, lifeS])
      return row?.taken ?? unanswered()
    },
    async proofSweep(batch) {
      const [row] = await rows<{ swept: string }>('select sallyport.proof_sweep($1) as swept', [batch])
      return Number(row?.swept ?? unanswered())
    },
    async sweepExpired(batch) {
      const [row] = await rows<SweepRow>('select * from sallyport.sweep_expired($1)', [batch])
      return row === undefined ? unanswered() : sweepCounts(row)
    },
    async unconfirmedConnections(most) {
      const found = await rows<{ org_id: OrgId; id: ConnectSessionId }>('select * from sallyport.unconfirmed_connections($1)', [most])
      return found.map(({ org_id, id }) => ({ org: org_id, session: id }))
    },
    async interruptedRefreshes(most) {
      return (await rows<ConnectionPlaceRow>('select * from sallyport.interrupted_refreshes($1)', [most])).map(connectionPlace)
    },
    async idleCredentials(unusedSince, most) {
      return (await rows<ConnectionPlaceRow>('select * from sallyport.idle_credentials($1, $2)', [unusedSince, most])).map(connectionPlace)
    },
    async revocationClaim({ most, seconds, without }) {
      const text = 'select * from sallyport.revocation_claim($1, $2, $3)'
      const found = await rows<{ org_id: OrgId; id: RevocationId; integration_id: IntegrationId; attempts: number }>(text, [
        most,
        seconds,
        [...without],
      ])
      return found.map(({ org_id, id, integration_id, attempts }) => ({ org: org_id, id, integration: integration_id, attempt: attempts }))
    },
    async bulkRevocationClaim(seconds) {
      const [row] = await rows<{ org_id: OrgId; id: BulkRevocationId }>('select * from sallyport.bulk_revocation_claim($1)', [seconds])
      return row && { org: row.org_id, id: row.id }
    },
    async browserOriginKnown(origin) {
      const [row] = await rows<{ known: boolean }>('select sallyport.browser_origin_known($1) as known', [origin])
      return row?.known ?? unanswered()
    },
    async nodeBeat(node, lifeS) {
      const [row] = await rows<{ nodes: string }>('select sallyport.node_beat($1, $2) as nodes', [node, lifeS])
      return Number(row?.nodes ?? unanswered())
    },
    async nodeLeave(node) {
      await rows('select sallyport.node_leave($1)', [node])
    },
    async idempotencySweep(most) {
      const [row] = await rows<{ swept: string }>('select sallyport.idempotency_sweep($1) as swept', [most])
      return row === undefined ? unanswered() : Number(row.swept)
    },
    async storedContentSweep(most) {
      const [row] = await rows<{ swept: string }>('select sallyport.stored_content_sweep($1) as swept', [most])
      return row === undefined ? unanswered() : Number(row.swept)
    },
    async providerKeySweep(most) {
      const [row] = await rows<{ swept: string }>('select sallyport.provider_key_sweep($1) as swept', [most])
      return row === undefined ? unanswered() : Number(row.swept)
    },
    async usageSweep({ records, days }, most) {
      const [row] = await rows<{ swept: string }>('select sallyport.usage_sweep($1, $2, $3) as swept', [records, days, most])
      return row === undefined ? unanswered() : Number(row.swept)
    },
    async endUserForgottenSweep(most) {
      const [row] = await rows<{ swept: string }>('select sallyport.end_user_forgotten_sweep($1) as swept', [most])
      return row === undefined ? unanswered() : Number(row.swept)
    },
    async organizationDeletionClaim(seconds) {
      const [row] = await rows<{ org_id: OrgId }>('select * from sallyport.organization_deletion_claim($1)', [seconds])
      return row?.org_id
    },
    async eventSourceLookup(context) {
      const [row] = await rows<{ org_id: OrgId; id: EventSourceId }>('select * from sallyport.event_source_lookup($1)', [context])
      return row && { org: row.org_id, id: row.id }
    },
    async eventReceiptSweep(most) {
      const [row] = await rows<{ swept: string }>('select sallyport.event_receipt_sweep($1) as swept', [most])
      return row === undefined ? unanswered() : Number(row.swept)
    },
    async revocationSweep(most) {
      const [row] = await rows<{ swept: string }>('select sallyport.revocation_sweep($1) as swept', [most])
      return row === undefined ? unanswered() : Number(row.swept)
    },
    async organizationPage({ after, limit }) {
      return (await rows<{ id: OrgId }>('select id from sallyport.organization_page($1, $2) as id', [after ?? null, limit])).map(
        ({ id }) => id,
      )
    },
    async dataKeyWork({ primaryRoot, madeBefore, after, limit }) {
      const text = 'select id from sallyport.data_key_work($1, $2, $3, $4) as id'
      return (await rows<{ id: OrgId }>(text, [primaryRoot, madeBefore, after ?? null, limit])).map(({ id }) => id)
    },
    async auditCheckpointDue({ currentKey, events, seconds, after, limit }) {
      const text = 'select org_id as id from sallyport.audit_checkpoint_due($1, $2, $3, $4, $5)'
      return (await rows<{ id: OrgId }>(text, [currentKey, events, seconds, after ?? null, limit])).map(({ id }) => id)
    },
    async auditLogPage({ after, limit }) {
      // No checkpoint is by a key without a name: so every log is due.
      const text = `select org_id as id from sallyport.audit_checkpoint_due('', 1, 0, $1, $2)`
      return (await rows<{ id: OrgId }>(text, [after ?? null, limit])).map(({ id }) => id)
    },
    async dataKeyCensus({ primaryRoot, madeBefore }) {
      const [row] = await rows<CensusRow>('select * from sallyport.data_key_census($1, $2)', [primaryRoot, madeBefore])
      if (row === undefined) return unanswered()
      return {
        current: Number(row.currently),
        previous: Number(row.previously),
        behind: Number(row.behind),
        overdue: Number(row.overdue),
        oldestCurrent: row.oldest_current,
      }
    },
  }
}

interface CensusRow {
  currently: string
  previously: string
  behind: string
  overdue: string
  oldest_current: Date | null
}

interface KeyLookupRow {
  org_id: OrgId
  id: KeyId
  project_id: ProjectId | null
  environment: Environment
  version: number
  secret_hmac: Buffer
  secret_argon2id: string
  scopes: Scope[]
  connection_id: ConnectionId | null
  expires_at: Date | null
  revoked_at: Date | null
  makers: number
  allowed_addresses: string[][]
  allowed_origins: string[][]
  dpop_thumbprint: string | null
  certificate_thumbprint: string | null
  audit_use_mode: AuditUseMode
  now: Date
}

interface SessionRow {
  person_id: UserId
  name: string
  expires_at: Date
}

interface SessionLookupRow extends SessionRow {
  email: string | null
  now: Date
  issuer: string
  methods: string[]
  assurance: SignIn['assurance']
  provider: string | null
  issuer_session: Buffer | null
  authenticated_at: Date
  memberships: StandingRow[]
}

interface StandingRow {
  org: OrgId
  role: Role
  sign_in: unknown
  closing: boolean
}

interface PersonStandingRow {
  person_id: UserId
  name: string
  email: string | null
  ended: boolean
  now: Date
  memberships: StandingRow[]
}

interface ConnectLinkRow {
  org_id: OrgId
  id: ConnectSessionId
  expired: boolean
}

interface OAuthStateConsumedRow {
  org_id: OrgId
  connect_session_id: ConnectSessionId
  context: string
  browser_hash: Buffer
  verifier: Buffer
  expired: boolean
}

interface ConnectionPlaceRow {
  org_id: OrgId
  connection_id: ConnectionId
}

function connectionPlace({ org_id, connection_id }: ConnectionPlaceRow): ConnectionPlace {
  return { org: org_id, connection: connection_id }
}

interface SweepRow {
  states: string
  sessions: string
  links: string
  connect_sessions: string
}

function sweepCounts(row: SweepRow): SweepCounts {
  return {
    states: Number(row.states),
    sessions: Number(row.sessions),
    links: Number(row.links),
    connectSessions: Number(row.connect_sessions),
  }
}

function keyRecord(row: KeyLookupRow): KeyRecord {
  return {
    org: row.org_id,
    id: row.id,
    project: row.project_id,
    environment: row.environment,
    version: row.version,
    secretHmac: row.secret_hmac,
    secretArgon2id: row.secret_argon2id,
    scopes: row.scopes,
    connection: row.connection_id,
    expiresAt: row.expires_at,
    revokedAt: row.revoked_at,
    makers: row.makers,
    allowedAddresses: row.allowed_addresses,
    allowedOrigins: row.allowed_origins,
    dpopThumbprint: row.dpop_thumbprint,
    certificateThumbprint: row.certificate_thumbprint,
    auditUseMode: row.audit_use_mode,
    now: row.now,
  }
}

function sessionRecord(row: SessionRow): SessionRecord {
  return { userId: row.person_id, name: row.name, expiresAt: row.expires_at }
}

function sessionStanding(row: SessionLookupRow): SessionStanding {
  const { email, now, issuer, methods, assurance, provider } = row
  const signIn = { issuer, methods, assurance, provider, issuerSession: row.issuer_session, authenticatedAt: row.authenticated_at }
  return { ...sessionRecord(row), email, now, signIn, standings: row.memberships.map(standing) }
}

function personStanding({ person_id: userId, name, email, ended, now, memberships }: PersonStandingRow): PersonStanding {
  return { userId, name, email, ended, now, standings: memberships.map(standing) }
}

function standing({ org, role, sign_in: signIn, closing }: StandingRow): Standing {
  return { org, role, signIn, ...(closing && { closing }) }
}

function stateRecord(row: OAuthStateConsumedRow): OAuthStateRecord {
  return {
    org: row.org_id,
    connectSession: row.connect_session_id,
    context: row.context,
    browserHash: row.browser_hash,
    verifier: row.verifier,
    expired: row.expired,
  }
}

function unanswered(): never {
  throw new DatabaseError('database_query_failed', 'a lookup function gave no row')
}
