/**
 * Owns what happens to an event: whose it is, whether it is true, whether it is new, and what ends because of it. Refuses to believe anything before
 * the signature, to look for its subject beyond the integration that the source belongs to, and to let a flood of events crowd out everything else.
 */
import { FairTurns, formatId, sha256 } from '@sallyport/core'
import type { Clock, ConnectionId, CredentialRef, KeySets, Logger, OrgId, Secret } from '@sallyport/core'
import { appendAudit } from '../audit/index.ts'
import { connectionListOfSubject, eventReceiptIsThere, eventReceiptPut, eventSourceFind, eventSourceNote } from '../db/index.ts'
import type { Database, EventSource, TenantTx } from '../db/index.ts'
import { parseJsonBody } from '../http/index.ts'
import { endConnections } from '../revocation/index.ts'
import { eventSecretPlace } from '../vault/index.ts'
import type { Vault } from '../vault/index.ts'
import { EventError, refusedEvent } from './errors.ts'
import { receiveGithub } from './github.ts'
import type { Headers } from './github.ts'
import type { Effect, Received } from './notice.ts'
import { receiveSet } from './set.ts'
import { receiveSlack } from './slack.ts'

export interface ReceiverOptions {
  readonly database: Pick<Database, 'withTenant' | 'lookups'>
  readonly vault: Pick<Vault, 'seal' | 'open' | 'openIn'>
  readonly keySets: KeySets
  /** Renews a credential without anybody waiting for it; what comes of it is on record elsewhere. */
  readonly renew: (ref: CredentialRef) => void
  /** There may be something to tell providers. */
  readonly onEnded: () => void
  readonly clock: Clock
  readonly logger: Logger
  /** Events at once at the database, and waiting for it; 4 and 200 when absent. */
  readonly places?: { readonly width: number; readonly queue: number }
}

/** What the sender is told. */
export type Answer = { readonly kind: EventSource['kind']; readonly challenge: string | undefined }

export interface EventReceiver {
  /**
   * Judges and carries out what was sent to `context`. An event that came before changes nothing and is answered as it was then. Undefined: there
   * is no place left, and it is to come again.
   * @throws EventError; JwtError `jwt_keys_unavailable`; DatabaseError, VaultError, KeySourceError: the same event may be sent again.
   */
  receive(context: string, headers: Headers, body: Buffer): Promise<Answer | undefined>
}

/** Of one source, and of one organization, at work and waiting: one that floods, or whose issuers never answer, leaves room for others. */
const OF_ONE = 50
/** Being judged at once, over all: their bodies stand in memory. */
const JUDGED = 400
/** Connections ended in one transaction, which holds the organization's log meanwhile. */
const PAGE = 250
/** An event may name a moment by a clock that is off by so much, and still is about the grant that lives now. */
const SKEW_MS = 60_000
const CONTEXT = /^[0-9A-Za-z]{20,64}$/u

export function createEventReceiver(options: ReceiverOptions): EventReceiver {
  const room: Room = {
    atDatabase: new FairTurns(options.places ?? { width: 4, queue: 200 }),
    ofSource: new Map(),
    ofOrg: new Map(),
    judged: new Map(),
  }
  return {
    receive: (context, headers, body) =>
      within(room.ofSource, context, OF_ONE, async () => {
        const found = await find(options, room, context)
        return found && within(room.ofOrg, found.org, OF_ONE, () => receive(options, room, found, headers, body))
      }),
  }
}

/**
 * What is under way. Nobody waits for an issuer or a key service in a place at the database: those are asked about the word of one organization,
 * and the places are everybody's.
 */
interface Room {
  readonly atDatabase: FairTurns
  readonly ofSource: Map<string, number>
  readonly ofOrg: Map<OrgId, number>
  readonly judged: Map<'all', number>
}

interface FoundSource {
  readonly org: OrgId
  readonly source: EventSource
}

/** Undefined when `most` of `whose` are under way. */
async function within<Whose, T>(counts: Map<Whose, number>, whose: Whose, most: number, work: () => Promise<T>): Promise<T | undefined> {
  const count = counts.get(whose) ?? 0
  if (count >= most) return undefined
  counts.set(whose, count + 1)
  try {
    return await work()
  } finally {
    const left = counts.get(whose)! - 1
    if (left > 0) counts.set(whose, left)
    else counts.delete(whose)
  }
}

/** Undefined for whoever gets no turn. */
async function inTurn<T>(turns: FairTurns, whose: string, work: () => Promise<T>): Promise<T | undefined> {
  const leave = await turns.enter(whose)
  return leave && work().finally(leave)
}

async function find({ database }: ReceiverOptions, { atDatabase }: Room, context: string): Promise<FoundSource | undefined> {
  return inTurn(atDatabase, context, async () => {
    const of = CONTEXT.test(context) ? await database.lookups.eventSourceLookup(context) : undefined
    const source = of && (await database.withTenant(of.org, (tx) => eventSourceFind(tx, of.id)))
    if (of === undefined || source === undefined) throw new EventError('event_source_unknown', 'No events are received here.')
    return { org: of.org, source }
  })
}

async function receive(
  options: ReceiverOptions,
  { atDatabase, judged: counts }: Room,
  { org, source }: FoundSource,
  headers: Headers,
  body: Buffer,
): Promise<Answer | undefined> {
  const received = await within(counts, 'all', JUDGED, () => judged(options, org, source, headers, body))
  if (received === undefined) return undefined
  const carried = await inTurn(atDatabase, org, async () => ({ renewed: await carryOut(options, org, source, received) }))
  if (carried === undefined) return undefined
  if (carried.renewed !== undefined) {
    for (const id of carried.renewed) options.renew({ scope: org, id })
    options.onEnded()
  }
  return { kind: source.kind, challenge: received.challenge }
}

async function judged(
  { vault, keySets, clock }: ReceiverOptions,
  org: OrgId,
  source: EventSource,
  headers: Headers,
  body: Buffer,
): Promise<Received & { readonly challenge?: string }> {
  if (source.kind === 'set') {
    if (!/^application\/secevent\+jwt\b/iu.test(headers['content-type'] ?? ''))
      throw refusedEvent('The body is not of type application/secevent+jwt.')
    return receiveSet(source, body, keySets, clock.now())
  }
  const secret = await openSecret(vault, org, source)
  if (source.kind === 'github') return receiveGithub(secret, headers, body, parseJsonBody)
  return receiveSlack(secret, headers, body, parseJsonBody, clock.now())
}

function openSecret(vault: Pick<Vault, 'open'>, org: OrgId, { id, secret }: EventSource): Promise<Secret> {
  // A constraint of the table.
  return vault.open(org, eventSecretPlace(id), secret!)
}

/**
 * Connections to be renewed, or undefined for an event that came before. What ends very many ends them page by page; killed on its way it is sent
 * again, because it counts as received with the last page only.
 */
async function carryOut(
  options: ReceiverOptions,
  org: OrgId,
  source: EventSource,
  received: Received,
): Promise<readonly ConnectionId[] | undefined> {
  for (let ended = 0; ;) {
    const step = await options.database.withTenant(org, async (tx) => {
      const ids = await about(tx, source, received, 'end')
      const more = ids.length > PAGE && !(await eventReceiptIsThere(tx, source.id, sha256(received.id)))
      if (more) return { more, ended: await end(options, tx, source, received, ids.slice(0, PAGE)) }
      return { more, renewed: await take(options, tx, source, received, { ids, ended }) }
    })
    if (!step.more) return step.renewed
    ended += step.ended
  }
}

async function take(
  options: ReceiverOptions,
  tx: TenantTx,
  source: EventSource,
  received: Received,
  last: { readonly ids: readonly ConnectionId[]; readonly ended: number },
): Promise<readonly ConnectionId[] | undefined> {
  if (!(await eventReceiptPut(tx, source.id, sha256(received.id)))) return undefined
  await eventSourceNote(tx, source.id, { verified: received.stream?.verified ?? false, streamStatus: received.stream?.status })
  const renewed = await about(tx, source, received, 'renew')
  const events = received.notices.map(({ event }) => event)
  const ended = last.ended + (await end(options, tx, source, received, last.ids))
  const detail = { kind: source.kind, events, ended, renewed: renewed.length }
  await appendAudit(tx, { action: 'provider_event.received', actor: 'system', target: formatId('esrc', source.id), detail })
  return renewed
}

/** All of a page at once, because the log is held from the first end on: whoever took further connections then could wait for each other. */
async function end(
  { vault }: ReceiverOptions,
  tx: TenantTx,
  source: EventSource,
  received: Received,
  ids: readonly ConnectionId[],
): Promise<number> {
  const ending = received.notices.filter(({ effect }) => effect === 'end')
  const ended = await endConnections(tx, vault, ids, {
    actor: 'system',
    cause: 'event',
    tellProvider: ending.some(({ tellProvider }) => tellProvider),
    detail: { events: ending.map(({ event }) => event), source: formatId('esrc', source.id) },
  })
  return ended.length
}

/**
 * What a person connected after the moment of the event is another grant: a late event doesn't end it. In doubt about clocks it is taken for the
 * same, since a connection that has to be made again is the smaller harm.
 */
async function about(tx: TenantTx, { integration }: EventSource, { notices }: Received, wanted: Effect): Promise<readonly ConnectionId[]> {
  const found: ConnectionId[] = []
  for (const { effect, subject, at } of notices) {
    if (effect !== wanted || subject === undefined) continue
    found.push(...(await connectionListOfSubject(tx, integration, subject, at === null ? null : new Date(at + SKEW_MS))))
  }
  return [...new Set(found)]
}
