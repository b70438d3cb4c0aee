/**
 * Owns telling providers that grants are over, until each has said so or 30 days have passed. Every node works on the queue; a revocation is taken
 * for a while and not for good, so that a killed node's are taken by another. Refuses to ask a provider that has just asked for patience,
 * and to end a grant that a newer connection of the same account needs.
 */
import { formatId, hasCode, revokeTokens, Rounds } from '@sallyport/core'
import type {
  Clock,
  ConnectionId,
  CredentialRef,
  IntegrationId,
  Logger,
  Metrics,
  OrgId,
  OutboundFetch,
  Provider,
  RevocationId,
  RevokeAnswer,
  Secret,
  TokenSet,
} from '@sallyport/core'
import { appendAudit } from '../audit/index.ts'
import type { Lineage } from '../credentials/index.ts'
import {
  connectionAccountLives,
  connectionAccount,
  integrationFindClient,
  revocationFind,
  revocationFindLatest,
  revocationPutOff,
  revocationSettle,
  revocationTakeFirst,
} from '../db/index.ts'
import type { ClaimedRevocation, Database, GrantRevocation, TenantTx } from '../db/index.ts'
import { clientSecretPlace, revocationPlace } from '../vault/index.ts'
import type { Vault } from '../vault/index.ts'
import { nextTryMs } from './backoff.ts'
import { queueOrphan } from './ending.ts'
import { isUnreadable, readTokensToRevoke } from './tokens.ts'

export interface RevocationQueueOptions {
  readonly database: Pick<Database, 'withTenant' | 'lookups'>
  readonly vault: Pick<Vault, 'seal' | 'open'>
  /** Which connections need a refresh token. */
  readonly lineage: Pick<Lineage, 'holders'>
  /** The egress's `fetch`. */
  readonly fetch: OutboundFetch
  readonly providers: (id: string) => Provider | undefined
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: Metrics
  /** Between 0 and 1. */
  readonly random?: () => number
  readonly pollMs?: number
}

/** `queued`: to be tried again, or by another. */
export type RevocationOutcome = { readonly state: 'done' | 'queued' } | { readonly state: 'impossible'; readonly reason: string }

export interface RevocationQueue {
  /** Looks for work now and every second, until `close`. */
  start(): void
  /** There may be work now. */
  poke(): void
  /** Tries one that its maker has just committed, and waits at most `patienceMs` for what comes of it. */
  attempt(org: OrgId, id: RevocationId, patienceMs: number): Promise<RevocationOutcome>
  /** Queues what a refresh brought for a connection that had ended meanwhile, in the transaction that found it so. */
  orphanIn(tx: TenantTx, connection: ConnectionId, tokens: TokenSet): Promise<void>
  /** The same for a connection that is gone altogether: what was queued at its end says where it was. @throws DatabaseError */
  orphan(ref: CredentialRef, tokens: TokenSet): Promise<void>
  /** Takes what is due and tries it, once. How many that were. */
  work(): Promise<number>
  /** Lets what is under way finish and begins nothing more. */
  close(): Promise<void>
}

const METRIC = 'sallyport_provider_revocations_total'
const POLL_MS = 1_000
/** At work at once. Few, because each takes a connection of the pool before and after its call, and calls of callers need those too. */
const BATCH = 8
/** Longer than every call of one try may take together. */
const TAKEN_S = 300
const SWEEP_EVERY = 600

export function createRevocationQueue(options: RevocationQueueOptions): RevocationQueue {
  return new Queue(options)
}

class Queue implements RevocationQueue {
  readonly #o: RevocationQueueOptions
  readonly #running = new Set<Promise<unknown>>()
  /** Integrations whose provider asked for patience, until when by the monotonic clock. */
  readonly #resting = new Map<IntegrationId, number>()
  readonly #rounds: Rounds
  #done = 0

  constructor(options: RevocationQueueOptions) {
    this.#o = options
    const { pollMs = POLL_MS } = options
    this.#rounds = new Rounds({ round: () => this.#round(), failed: (error) => this.#failed(error), everyMs: pollMs })
  }

  start(): void {
    this.#rounds.start()
  }

  poke(): void {
    this.#rounds.poke()
  }

  async work(): Promise<number> {
    const claimed = await this.#o.database.lookups.revocationClaim({ most: BATCH, seconds: TAKEN_S, without: this.#restingNow() })
    await Promise.all(claimed.map((claim) => this.#tracked(this.#try(claim))))
    return claimed.length
  }

  async attempt(org: OrgId, id: RevocationId, patienceMs: number): Promise<RevocationOutcome> {
    const done = this.#tracked(this.#attempt(org, id))
    const { promise: late, resolve } = Promise.withResolvers<RevocationOutcome>()
    const timer = setTimeout(() => resolve({ state: 'queued' }), patienceMs)
    return Promise.race([done, late]).finally(() => clearTimeout(timer))
  }

  async orphanIn(tx: TenantTx, connection: ConnectionId, tokens: TokenSet): Promise<void> {
    const of = (await connectionAccount(tx, connection)) ?? (await revocationFindLatest(tx, connection))
    if (of === undefined) return
    const { integration, accountId } = of
    const made = await queueOrphan(tx, this.#o.vault, { id: connection, integration, accountId }, tokens)
    if (made === undefined) return
    const detail = { revocation: formatId('rev', made) }
    await appendAudit(tx, { action: 'connection.token_orphaned', actor: 'system', target: formatId('conn', connection), detail })
  }

  async orphan({ scope, id }: CredentialRef, tokens: TokenSet): Promise<void> {
    const connection = id as ConnectionId
    await this.#o.database.withTenant(scope as OrgId, async (tx) => {
      // One that is there had it queued as its answer was found too late.
      if ((await connectionAccount(tx, connection)) === undefined) await this.orphanIn(tx, connection, tokens)
    })
    this.poke()
  }

  async close(): Promise<void> {
    await this.#rounds.close()
    await Promise.allSettled(this.#running)
  }

  async #round(): Promise<boolean> {
    const more = (await this.work()) === BATCH
    this.#done += 1
    if (this.#done % SWEEP_EVERY === 1) await this.#o.database.lookups.revocationSweep(1_000)
    return more
  }

  /** What was taken comes back by itself. */
  #failed(error: unknown): void {
    if (!hasCode(error, 'database_unavailable')) this.#o.logger.error('Looking for revocations failed', { error })
  }

  async #attempt(org: OrgId, id: RevocationId): Promise<RevocationOutcome> {
    const taken = await this.#o.database.withTenant(org, async (tx) => {
      const found = await revocationFind(tx, id)
      const attempt = found === undefined ? undefined : await revocationTakeFirst(tx, id, TAKEN_S)
      return found === undefined || attempt === undefined ? undefined : { org, id, integration: found.integration, attempt }
    })
    return taken === undefined ? { state: 'queued' } : this.#try(taken)
  }

  /** One try of one that was taken. Never rejects: what fails here comes back when it is no longer anybody's. */
  async #try(claim: ClaimedRevocation): Promise<RevocationOutcome> {
    const { org, id } = claim
    try {
      if (this.#isResting(claim.integration)) return await this.#giveBack(claim)
      const prepared = await this.#prepare(claim)
      if (prepared === undefined) return { state: 'queued' }
      const answer = await prepared.ask()
      return await this.#settle(claim, prepared, answer)
    } catch (error) {
      this.#o.logger.error('A revocation could not be tried', { org, revocation: formatId('rev', id), error })
      return { state: 'queued' }
    }
  }

  async #prepare({ org, id }: ClaimedRevocation): Promise<Prepared | undefined> {
    const { database, providers, fetch, clock } = this.#o
    const read = await database.withTenant(org, async (tx) => {
      const revocation = await revocationFind(tx, id)
      if (revocation === undefined || revocation.sealed === null) return undefined
      const { accountId, integration, cause } = revocation
      // An orphan comes also of a connection that was renewed; whose it is must be known to spare that.
      const shared = accountId === null ? cause === 'orphaned' : await connectionAccountLives(tx, integration, accountId)
      return { revocation, sealed: revocation.sealed, shared, client: await integrationFindClient(tx, integration) }
    })
    if (read === undefined) return undefined
    const { revocation, sealed, shared, client } = read
    const provider = client && providers(client.provider)
    if (client === undefined || provider === undefined) return { revocation, provider: 'unknown', ask: async () => NO_WAY }
    const ask = async (): Promise<RevokeAnswer> => {
      const opened = await this.#opened(org, revocation, sealed, client.clientSecret)
      if (opened === undefined) return LOST
      if (await this.#isHeld(org, provider, opened.tokens.refresh)) return SHARED
      return revokeTokens({
        way: provider.revocation,
        client: { clientId: client.clientId, clientSecret: opened.clientSecret },
        refreshTokens: opened.tokens.refresh,
        accessTokens: opened.tokens.access,
        accountShared: shared,
        fetch,
        now: clock.now(),
      })
    }
    return { revocation, provider: provider.id, ask }
  }

  /** Whether a connection lives on one of the tokens: it was imported again, or its provider gives several connections the same. */
  #isHeld(org: OrgId, { id }: Provider, refreshTokens: readonly Secret[]): Promise<boolean> {
    const { database, lineage } = this.#o
    return database.withTenant(org, async (tx) => (await lineage.holders(tx, id, refreshTokens)).length > 0)
  }

  /** Undefined when the key of either was destroyed, or its bytes changed: a backup may bring them back, so it is tried on, and then given up. */
  async #opened(org: OrgId, { id, integration }: GrantRevocation, sealed: Buffer, secret: Buffer) {
    const { vault } = this.#o
    try {
      const tokens = readTokensToRevoke(await vault.open(org, revocationPlace(id), sealed))
      return { tokens, clientSecret: await vault.open(org, clientSecretPlace(integration), secret) }
    } catch (error) {
      if (isUnreadable(error)) return undefined
      throw error
    }
  }

  async #settle(claim: ClaimedRevocation, { revocation, provider }: Prepared, answer: RevokeAnswer): Promise<RevocationOutcome> {
    const { metrics, random = Math.random } = this.#o
    if (answer.kind === 'done') {
      metrics.count(METRIC, { provider, outcome: 'done' })
      await this.#end(claim, revocation, { state: 'done', reason: null })
      return { state: 'done' }
    }
    if (answer.kind === 'impossible') {
      metrics.count(METRIC, { provider, outcome: 'impossible' })
      await this.#end(claim, revocation, { state: 'given_up', reason: answer.reason })
      return { state: 'impossible', reason: answer.reason }
    }
    const ageMs = revocation.now.getTime() - revocation.madeAt.getTime()
    const waitMs = nextTryMs(claim.attempt, { ageMs, askedMs: answer.afterMs }, random())
    metrics.count(METRIC, { provider, outcome: waitMs === null ? 'given_up' : 'retry' })
    if (waitMs === null) {
      await this.#end(claim, revocation, { state: 'given_up', reason: answer.reason })
      return { state: 'impossible', reason: answer.reason }
    }
    if (answer !== LOST) this.#rest(claim.integration, answer.afterMs ?? Math.min(waitMs, LONGEST_REST_MS))
    const next = { inSeconds: waitMs / 1000, reason: answer.reason, attempts: claim.attempt }
    await this.#o.database.withTenant(claim.org, (tx) => revocationPutOff(tx, claim.id, claim.attempt, next))
    return { state: 'queued' }
  }

  /** The event and the end of the row in one transaction: written once, by whoever still holds the attempt. */
  async #end(
    { org, id, attempt }: ClaimedRevocation,
    { connection, cause }: GrantRevocation,
    end: { readonly state: 'done' | 'given_up'; readonly reason: string | null },
  ): Promise<void> {
    await this.#o.database.withTenant(org, async (tx) => {
      if (!(await revocationSettle(tx, id, attempt, end))) return
      const action = end.state === 'done' ? 'connection.revoked_at_provider' : 'connection.not_revoked_at_provider'
      const detail = { revocation: formatId('rev', id), cause, attempts: attempt, ...(end.reason === null ? {} : { reason: end.reason }) }
      await appendAudit(tx, { action, actor: 'system', target: formatId('conn', connection), detail })
    })
  }

  /** Untried: the attempt does not count. */
  async #giveBack({ org, id, integration, attempt }: ClaimedRevocation): Promise<RevocationOutcome> {
    const leftMs = Math.max(0, (this.#resting.get(integration) ?? 0) - this.#o.clock.monotonic())
    const next = { inSeconds: leftMs / 1000, reason: 'rate_limited', attempts: attempt - 1 }
    await this.#o.database.withTenant(org, (tx) => revocationPutOff(tx, id, attempt, next))
    return { state: 'queued' }
  }

  #rest(integration: IntegrationId, ms: number): void {
    this.#resting.set(integration, this.#o.clock.monotonic() + ms)
  }

  #isResting(integration: IntegrationId): boolean {
    return (this.#resting.get(integration) ?? 0) > this.#o.clock.monotonic()
  }

  #restingNow(): IntegrationId[] {
    const now = this.#o.clock.monotonic()
    for (const [integration, until] of this.#resting) if (until <= now) this.#resting.delete(integration)
    return [...this.#resting.keys()]
  }

  #tracked<T>(work: Promise<T>): Promise<T> {
    const run: Promise<unknown> = work.finally(() => this.#running.delete(run)).catch(() => undefined)
    this.#running.add(run)
    return work
  }
}

/** A provider that is down is left alone by this node for at most so long, whatever a single revocation's next try is. */
const LONGEST_REST_MS = 60_000

interface Prepared {
  readonly revocation: GrantRevocation
  readonly provider: string
  readonly ask: () => Promise<RevokeAnswer>
}

const NO_WAY: RevokeAnswer = { kind: 'impossible', reason: 'no_way' }
const SHARED: RevokeAnswer = { kind: 'impossible', reason: 'shared_account' }
const LOST: RevokeAnswer = { kind: 'retry', reason: 'unreadable', afterMs: null }
