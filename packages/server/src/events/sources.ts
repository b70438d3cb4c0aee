/** Owns making, listing and removing event sources. Refuses to show a secret of a source again, whoever chose it. */
import { formatId, newId, randomBase62, Secret } from '@sallyport/core'
import type { EventSourceId, IntegrationId, OrgId, Provider } from '@sallyport/core'
import { appendAudit } from '../audit/index.ts'
import { eventSourceCount, eventSourceDelete, eventSourceInsert, eventSourceList, integrationFind } from '../db/index.ts'
import type { Database, EventSource, EventSourceKind, Page, Place, TenantTx } from '../db/index.ts'
import { notFound, ProblemError } from '../http/index.ts'
import { eventSecretPlace } from '../vault/index.ts'
import type { Vault } from '../vault/index.ts'

export interface NewSource {
  readonly kind: EventSourceKind
  /** The provider's, for kinds that share one. Absent: one is made. */
  readonly secret?: Secret | undefined
  /** Of security event tokens. Absent: what the catalog knows of the provider. */
  readonly issuers?: readonly string[] | undefined
  readonly keysUri?: string | undefined
  /** Absent: the integration's client id. */
  readonly audiences?: readonly string[] | undefined
}

export interface MadeSource {
  readonly source: EventSource
  /** The secret that was made, shown this once. */
  readonly secret: Secret | undefined
}

export interface EventSources {
  /** @throws ProblemError `not_found`, `validation_failed`, `resource_limit`. */
  create(org: OrgId, at: Place, integration: IntegrationId, wanted: NewSource, actor: string): Promise<MadeSource>
  list(org: OrgId, at: Place, integration: IntegrationId, page: Page<EventSourceId>): Promise<readonly EventSource[]>
  /** @throws ProblemError `not_found` */
  remove(org: OrgId, at: Place, integration: IntegrationId, id: EventSourceId, actor: string): Promise<void>
}

interface SourcesOptions {
  readonly database: Pick<Database, 'withTenant'>
  readonly vault: Pick<Vault, 'seal'>
  readonly providers: (id: string) => Provider | undefined
  /** Development: keys over plain http on loopback. */
  readonly loopbackOrigins: boolean
}

/** 190 and 256 random bits. */
const CONTEXT_DIGITS = 32
const SECRET_DIGITS = 43

/** More than a provider has kinds of events and keys to turn over. */
const MOST_OF_INTEGRATION = 100

async function requireFew(tx: TenantTx, integration: IntegrationId): Promise<void> {
  if ((await eventSourceCount(tx, integration)) < MOST_OF_INTEGRATION) return
  throw new ProblemError(
    'resource_limit',
    `An integration has at most ${MOST_OF_INTEGRATION} event sources. Take one out that nobody sends to.`,
  )
}

export function createEventSources(options: SourcesOptions): EventSources {
  const { database, vault, providers } = options
  return {
    create: (org, at, integration, wanted, actor) =>
      database.withTenant(org, async (tx) => {
        const found = await integrationFind(tx, at, integration)
        if (found === undefined) throw notFound()
        await requireFew(tx, integration)
        const id = newId('esrc')
        const made = wanted.kind === 'set' || wanted.secret !== undefined ? undefined : new Secret(randomBase62(SECRET_DIGITS))
        const secret = wanted.kind === 'set' ? undefined : (wanted.secret ?? made)
        const source = await eventSourceInsert(tx, at, {
          id,
          integration,
          kind: wanted.kind,
          context: randomBase62(CONTEXT_DIGITS),
          secret: secret === undefined ? null : await vault.seal(tx, eventSecretPlace(id), secret),
          ...tokensOf(wanted, providers(found.provider), found.clientId, options.loopbackOrigins),
        })
        const detail = { integration: formatId('int', integration), kind: wanted.kind, issuers: [...source.issuers] }
        await appendAudit(tx, { action: 'event_source.created', actor, target: formatId('esrc', id), detail })
        return { source, secret: made }
      }),
    list: (org, at, integration, page) =>
      database.withTenant(org, async (tx) => {
        if ((await integrationFind(tx, at, integration)) === undefined) throw notFound()
        return eventSourceList(tx, at, integration, page)
      }),
    remove: (org, at, integration, id, actor) =>
      database.withTenant(org, async (tx) => {
        if (!(await eventSourceDelete(tx, at, integration, id))) throw notFound()
        const detail = { integration: formatId('int', integration) }
        await appendAudit(tx, { action: 'event_source.deleted', actor, target: formatId('esrc', id), detail })
      }),
  }
}

/** What verifies the tokens of a source: named whole, or known of the provider. */
function tokensOf(
  { kind, secret, issuers, keysUri, audiences }: NewSource,
  provider: Provider | undefined,
  clientId: string,
  loopback: boolean,
): Pick<EventSource, 'issuers' | 'audiences' | 'keysUri' | 'untyped'> {
  if (kind !== 'set') {
    if (issuers === undefined && keysUri === undefined && audiences === undefined)
      return { issuers: [], audiences: [], keysUri: null, untyped: false }
    throw faulty('/body/kind', 'only security event tokens have issuers, audiences and keys')
  }
  if (secret !== undefined) throw faulty('/body/secret', 'security event tokens are verified by published keys, not by a secret')
  const aud = audiences ?? [clientId]
  if (issuers !== undefined && keysUri !== undefined) {
    if (!isKeysUri(keysUri, loopback)) throw faulty('/body/keys_uri', 'must be an https URL')
    return { issuers, audiences: aud, keysUri, untyped: false }
  }
  const known = provider?.securityEvents
  if (issuers !== undefined || keysUri !== undefined || known === undefined)
    throw faulty(issuers === undefined ? '/body/issuers' : '/body/keys_uri', 'must be given: the catalog does not know it of this provider')
  return { issuers: known.issuers, audiences: aud, keysUri: known.keys, untyped: known.untyped }
}

function isKeysUri(text: string, loopback: boolean): boolean {
  if (!URL.canParse(text)) return false
  const { protocol, hostname, username, password, hash } = new URL(text)
  if (username !== '' || password !== '' || hash !== '') return false
  return protocol === 'https:' || (loopback && protocol === 'http:' && (hostname === '127.0.0.1' || hostname === 'localhost'))
}

function faulty(pointer: string, reason: string): ProblemError {
  return new ProblemError('validation_failed', 'The event source can not be made so.', { faults: [{ pointer, reason }] })
}
