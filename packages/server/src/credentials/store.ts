/**
 * Owns the gateway's credential store: the port of core over the tenants' tables. A credential is a connection, named by its organization
 * and its id; row security stands around every statement. Refuses a write that doesn't hold the connection's row, so that of two nodes each
 * sees what the other has committed, and says `store_unavailable` whenever it can't say what became of a write.
 */
import { randomUUID } from 'node:crypto'
import { formatId, isUuid, SallyportError, TokenError } from '@sallyport/core'
import type {
  BegunRefresh,
  ConnectionId,
  CredentialRef,
  CredentialState,
  CredentialStore,
  Logger,
  OrgId,
  RefreshFailure,
  RefreshIntent,
  SaveOutcome,
  TokenSet,
} from '@sallyport/core'
import {
  credentialDeleteAll,
  credentialFind,
  credentialHead,
  credentialPrune,
  credentialSavedAs,
  credentialSiblings,
  grantEnd,
  grantFail,
  grantForget,
  grantHold,
  grantRead,
  grantRenew,
  intentDoubt,
  intentDrop,
  intentPut,
  isBusy,
} from '../db/index.ts'
import type { ConnectionFailure, ConnectionPlace, Database, Grant, Intent, TenantTx } from '../db/index.ts'
import { isLost, refreshAnswerPlace, spilledAnswerPlace } from '../vault/index.ts'
import type { Vault } from '../vault/index.ts'
import type { Lineage } from './lineage.ts'
import type { Transitions } from './transitions.ts'

export interface TenantStoreOptions {
  readonly database: Pick<Database, 'withTenant' | 'lookups' | 'onChange'>
  readonly vault: Pick<Vault, 'seal' | 'sealer' | 'open'>
  readonly lineage: Lineage
  readonly transitions: Transitions
  readonly logger: Logger
  /** Takes what a refresh brought for a grant that is over, in the transaction that finds it so: no kill loses the duty to take it back. */
  readonly orphaned?: (tx: TenantTx, id: ConnectionId, tokens: TokenSet) => Promise<void>
}

/** `close` ends the hearing of changes; the database belongs to whoever gave it. */
export function createTenantStore(options: TenantStoreOptions): CredentialStore {
  return new TenantStore(options)
}

/** Organizations looked at in one step of forgetting what is old. */
const PAGE = 500

class TenantStore implements CredentialStore {
  readonly durability = { kind: 'durable', limits: [] } as const
  readonly #o: TenantStoreOptions
  readonly #listening = new Set<() => void>()

  constructor(options: TenantStoreOptions) {
    this.#o = options
  }

  read(ref: CredentialRef): Promise<CredentialState | undefined> {
    return this.#within(ref, async (tx, id) => {
      // Two statements see two moments. Read again until the later one points at what the earlier one found.
      for (;;) {
        const head = await credentialHead(tx, id)
        const grant = await grantRead(tx, id)
        if (grant === undefined || grant.headSeq === 0n) return undefined
        if (head?.seq !== grant.headSeq || head.generation !== grant.generation) continue
        return {
          ref,
          generation: grant.generation,
          status: statusOf(grant),
          head: await this.#o.lineage.open(tx, head),
          intent: grant.intent && intentOf(grant.intent),
          failure: grant.failure && failureOf(grant.failure),
          readAt: grant.now.getTime(),
        }
      }
    })
  }

  async connect(ref: CredentialRef, tokens: CredentialState['head']['tokens']): Promise<{ generation: number; seq: bigint }> {
    return this.#within(ref, async (tx, id) => {
      const made = await this.#o.lineage.consent(tx, id, tokens, { status: 'active', onHeld: (holders) => this.#shares(ref, holders) })
      if (made === undefined) throw new TypeError('a credential is of a connection, and there is none of this id')
      return made
    })
  }

  begin(
    ref: CredentialRef,
    from: Parameters<CredentialStore['begin']>[1],
    made: Parameters<CredentialStore['begin']>[2],
  ): Promise<BegunRefresh | undefined> {
    return this.#holding(ref, undefined, async (tx, id, grant) => {
      const same = grant.generation === from.generation && grant.headSeq === from.headSeq && statusOf(grant) === 'active'
      if (!same || (grant.intent?.id ?? null) !== from.replaces) return undefined
      const sealed = await credentialFind(tx, id, from.parentSeq)
      if (sealed?.generation !== from.generation) return undefined
      const parent = await this.#o.lineage.open(tx, sealed)
      const intent = { id: randomUUID(), generation: from.generation, parentSeq: from.parentSeq, headSeq: from.headSeq, ...made }
      const startedAt = await intentPut(tx, id, intent)
      const seal = await this.#o.vault.sealer(tx, spilledAnswerPlace(id, { ...intent, intent: intent.id }))
      return { intent: { ...intent, startedAt: startedAt.getTime(), state: 'calling' }, parent, seal }
    })
  }

  /** The event that it was refreshed is written apart: nothing else may stand between an answer and its keeping. */
  async save(ref: CredentialRef, answer: Parameters<CredentialStore['save']>[1]): Promise<SaveOutcome> {
    const saved = await this.#holding<Saved>(ref, { outcome: 'ended' }, async (tx, id, grant) => {
      const before = await credentialSavedAs(tx, id, answer.intent)
      if (before !== undefined) return { outcome: before }
      const intent = grant.intent?.id === answer.intent ? grant.intent : undefined
      // A late answer brings back what was given up for lost, and nothing that was taken back (battery V-06).
      if (grant.generation !== answer.generation || grant.headSeq === 0n || grant.status === 'revoked') {
        await intentDrop(tx, id, answer.intent)
        await this.#o.orphaned?.(tx, id, answer.tokens)
        return { outcome: 'ended' }
      }
      const outrun = answer.keepsRefreshToken === true && intent === undefined && grant.intent !== null
      const as = grant.headSeq === (intent?.headSeq ?? answer.parentSeq) && !outrun ? 'head' : 'sibling'
      const { generation, parentSeq, tokens } = answer
      // An answer is kept whatever else is true of it: the provider has given it, and nobody else has it.
      const onHeld = (holders: readonly ConnectionId[]): void => this.#shares(ref, holders)
      const saved = { intent: answer.intent, as } as const
      const seq = await this.#o.lineage.insert(tx, id, { generation, parentSeq, tokens, saved, provider: grant.provider, onHeld })
      await intentDrop(tx, id, answer.intent)
      const scopes = as === 'head' && !sameScopes(grant.grantedScopes, tokens.scopes) ? tokens.scopes : undefined
      if (as === 'head') await grantRenew(tx, id, seq, scopes)
      return { outcome: as, seq, failure: grant.failure, ...(scopes === undefined ? {} : { scopes }) }
    })
    if (saved.seq !== undefined) this.#o.transitions.saved(placeOf(ref), { ...saved, seq: saved.seq, parentSeq: answer.parentSeq })
    return saved.outcome
  }

  withdraw(ref: CredentialRef, intent: string, failure: Parameters<CredentialStore['withdraw']>[2]): Promise<boolean> {
    return this.#holding(ref, false, async (tx, id, grant) => {
      if (!(await intentDrop(tx, id, intent))) return false
      if (failure !== null) await this.#fail(tx, id, grant, failure)
      return true
    })
  }

  doubt(
    ref: CredentialRef,
    intent: string,
    failure: Parameters<CredentialStore['doubt']>[2],
    answer?: Parameters<CredentialStore['doubt']>[3],
  ): Promise<boolean> {
    return this.#holding(ref, false, async (tx, id, grant) => {
      const sealed = answer === undefined ? null : await this.#o.vault.seal(tx, refreshAnswerPlace(id, intent), answer)
      if (!(await intentDoubt(tx, id, intent, sealed))) return false
      await this.#fail(tx, id, grant, failure)
      return true
    })
  }

  end(
    ref: CredentialRef,
    at: Parameters<CredentialStore['end']>[1],
    status: Parameters<CredentialStore['end']>[2],
    trouble: Parameters<CredentialStore['end']>[3],
  ): Promise<boolean> {
    return this.#holding(ref, false, async (tx, id, grant) => {
      if (grant.headSeq === 0n || grant.generation !== at.generation || (at.headSeq !== undefined && grant.headSeq !== at.headSeq))
        return false
      if (grant.status === 'revoked' && status !== 'revoked') return false
      if (grant.status === status) return true
      await grantEnd(tx, id, status, trouble)
      await this.#o.transitions.ended(tx, id, { status, trouble, generation: grant.generation })
      return true
    })
  }

  siblings(ref: CredentialRef): Promise<readonly CredentialState['head'][]> {
    return this.#holding<readonly CredentialState['head'][]>(ref, [], async (tx, id, grant) => {
      const found: CredentialState['head'][] = []
      for (const sealed of await credentialSiblings(tx, id, { generation: grant.generation, head: grant.headSeq })) {
        const version = await this.#o.lineage.open(tx, sealed)
        if (version.tokens.refreshToken !== null) found.push(version)
      }
      return found
    })
  }

  openSpilled(answer: Parameters<CredentialStore['openSpilled']>[0]): ReturnType<CredentialStore['openSpilled']> {
    const { org, connection } = placeOf(answer.ref)
    return available(async () => {
      try {
        return await this.#o.vault.open(org, spilledAnswerPlace(connection, answer), answer.sealed)
      } catch (error) {
        // Its key was destroyed, or it stands where it does not belong: no waiting brings it back.
        if (isLost(error)) throw new TokenError('credential_malformed', 'a spilled answer does not open', { cause: error })
        throw error
      }
    })
  }

  async interrupted(limit: number): Promise<readonly CredentialRef[]> {
    return (await available(() => this.#o.database.lookups.interruptedRefreshes(limit))).map(refOf)
  }

  async idle(unusedSince: number, limit: number): Promise<readonly CredentialRef[]> {
    return (await available(() => this.#o.database.lookups.idleCredentials(new Date(unusedSince), limit))).map(refOf)
  }

  async prune(before: number): Promise<number> {
    const { database } = this.#o
    let forgotten = 0
    let after: OrgId | undefined
    do {
      const from = after
      const page = await available(() => database.lookups.organizationPage({ after: from, limit: PAGE }))
      for (const org of page) forgotten += await available(() => this.#prunedOf(org, before))
      after = page.length === PAGE ? page.at(-1) : undefined
    } while (after !== undefined)
    return forgotten
  }

  /** One that is busy keeps no other from it, and has its own the next time. */
  async #prunedOf(org: OrgId, before: number): Promise<number> {
    try {
      return await this.#o.database.withTenant(org, (tx) => credentialPrune(tx, new Date(before)))
    } catch (error) {
      if (isBusy(error)) return 0
      throw error
    }
  }

  remove(ref: CredentialRef, generation?: number): Promise<boolean> {
    return this.#holding(ref, false, async (tx, id, grant) => {
      if (grant.headSeq === 0n || grant.generation !== (generation ?? grant.generation)) return false
      await credentialDeleteAll(tx, id)
      await grantForget(tx, id, grant.generation)
      return true
    })
  }

  onChange(listener: (ref: CredentialRef | 'unknown') => void): () => void {
    const stop = this.#o.database.onChange((change) => {
      if (change === 'unknown') listener('unknown')
      else if (change.table === 'connection') listener({ scope: change.org, id: change.id })
    })
    this.#listening.add(stop)
    return () => {
      this.#listening.delete(stop)
      stop()
    }
  }

  async close(): Promise<void> {
    for (const stop of this.#listening) stop()
    this.#listening.clear()
  }

  #shares(ref: CredentialRef, holders: readonly ConnectionId[]): void {
    const { org, connection } = placeOf(ref)
    const names = holders.map((holder) => formatId('conn', holder))
    const of = { organization: formatId('org', org), connection: formatId('conn', connection), holders: names }
    this.#o.logger.warn('A provider gave a connection the refresh token of another one; where it rotates, they end each other', of)
  }

  async #fail(tx: TenantTx, id: ConnectionId, { failure: before }: Grant, failure: Parameters<CredentialStore['doubt']>[2]): Promise<void> {
    await grantFail(tx, id, failure)
    if (before === null) await this.#o.transitions.failing(tx, id, failure.trouble)
  }

  #within<T>(ref: CredentialRef, work: (tx: TenantTx, id: ConnectionId) => Promise<T>): Promise<T> {
    const { org, connection } = placeOf(ref)
    return available(() => this.#o.database.withTenant(org, (tx) => work(tx, connection)))
  }

  /** `absent` when there is no such connection. */
  #holding<T>(ref: CredentialRef, absent: T, work: (tx: TenantTx, id: ConnectionId, grant: Grant) => Promise<T>): Promise<T> {
    return this.#within(ref, async (tx, id) => {
      const grant = (await grantHold(tx, id)) ? await grantRead(tx, id) : undefined
      return grant === undefined ? absent : work(tx, id, grant)
    })
  }
}

interface Saved {
  readonly outcome: SaveOutcome
  /** Only of a version that was not there before. */
  readonly seq?: bigint
  readonly failure?: ConnectionFailure | null
  /** What the provider grants now, where that is not what it was. */
  readonly scopes?: readonly string[]
}

/** Every failure of ours on the way to a row leaves open what became of the write, whatever it was: locks, keys, the log, the server. */
async function available<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof TokenError || !(error instanceof SallyportError)) throw error
    throw new TokenError('store_unavailable', `the credential store does not answer: ${error.code}`, { cause: error })
  }
}

function sameScopes(one: readonly string[], other: readonly string[]): boolean {
  const [before, now] = [new Set(one), new Set(other)]
  return before.size === now.size && [...before].every((scope) => now.has(scope))
}

/** Waiting for consent, for more scopes: the grant itself lives. */
function statusOf({ status }: Grant): CredentialState['status'] {
  return status === 'reconnect_required' || status === 'revoked' ? status : 'active'
}

function intentOf({ startedAt, ...intent }: Intent): RefreshIntent {
  return { ...intent, startedAt: startedAt.getTime() }
}

function failureOf({ trouble, at, failures, retryAt }: ConnectionFailure): RefreshFailure {
  return { trouble, at: at.getTime(), failures, retryAt: retryAt.getTime() }
}

/** @throws TypeError for a name that no connection can have (a programming error). */
export function placeOf({ scope, id }: CredentialRef): ConnectionPlace {
  if (!isUuid(scope) || !isUuid(id)) throw new TypeError('a credential of the gateway is named by an organization and a connection')
  return { org: scope as string as OrgId, connection: id as string as ConnectionId }
}

export function refOf({ org, connection }: ConnectionPlace): CredentialRef {
  return { scope: org, id: connection }
}
