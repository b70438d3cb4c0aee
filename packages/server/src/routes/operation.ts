/**
 * Owns how a handler is tied to an operation of the contract: what it is given, and what it must answer, follow from the table.
 * Refuses a handler for no operation and an operation without a handler, both at compile time.
 */
import type { Readable } from 'node:stream'
import type { FastifyReply } from 'fastify'
import type { z } from 'zod'
import type { Operation, OperationName, Operations } from '@sallyport/contract'
import type { Provider, Refresher, Secret } from '@sallyport/core'
import type { StepUp } from '../access/index.ts'
import type { Checkpointer } from '../audit/index.ts'
import type { ConnectService } from '../connect/index.ts'
import type { Explain, Lineage } from '../credentials/index.ts'
import type { Database } from '../db/index.ts'
import type { Cursors, PathIds, SessionCookie } from '../http/index.ts'
import type { KeyAuthenticator, People, Principal, Sessions } from '../identity/index.ts'
import type { RateBounds } from '../limits/index.ts'
import type { EventSources } from '../events/index.ts'
import type { Idempotency } from '../idempotency/index.ts'
import type { ProviderKeys } from '../models/index.ts'
import type { OrganizationDeletions, Room } from '../organizations/index.ts'
import type { RevocationService } from '../revocation/index.ts'
import type { Keeper, Personal, Vault } from '../vault/index.ts'

/** Everything that handlers may reach. Built by compose, one for all routes. */
export interface RouteDeps {
  readonly database: Database
  readonly vault: Pick<Vault, 'seal' | 'openIn'>
  readonly personal: Personal
  readonly lineage: Pick<Lineage, 'consent'>
  readonly keeper: Omit<Keeper, 'close' | 'organizations' | 'rotateEverything' | 'rotateRoot' | 'start' | 'tend'>
  readonly checkpointer: Pick<Checkpointer, 'checkpoint' | 'exportEnd' | 'keys'>
  readonly refresher: Pick<Refresher, 'refreshNow'>
  readonly explain: Explain
  readonly keys: Pick<KeyAuthenticator, 'mint'>
  readonly sessions: Sessions
  readonly people: Pick<People, 'signIn' | 'end' | 'issuerKind'>
  /** How many one person may own. */
  readonly organizationsPerOwner: number
  /** How many keys of one organization may be on. */
  readonly keysPerOrganization: number
  /** How many of other things. */
  readonly room: Room
  /** Milliseconds since 1970. */
  readonly now: () => number
  readonly stepUp: () => StepUp
  readonly connect: Pick<ConnectService, 'createSession' | 'getSession' | 'complete'>
  readonly eventSources: EventSources
  readonly providerKeys: ProviderKeys
  readonly idempotency: Idempotency
  readonly deletions: Pick<OrganizationDeletions, 'request' | 'takeBack' | 'find'>
  readonly revocation: Pick<RevocationService, 'disconnect' | 'eraseEndUser' | 'bulk'>
  readonly cursors: Cursors
  /** What the installation says of limits. */
  readonly rates: RateBounds
  /** The catalog as configured. */
  readonly providers: readonly Provider[]
  readonly sessionCookie: SessionCookie
  /** As browsers reach us, without a trailing slash. */
  readonly publicUrl: string
  /** Development: plain http on loopback is taken as a return origin. */
  readonly loopbackOrigins: boolean
}

type Schema<Name extends OperationName, Part extends 'params' | 'query' | 'body'> =
  Operations[Name] extends Readonly<Record<Part, infer S extends z.ZodType>> ? S : never

type Parsed<Name extends OperationName, Part extends 'query' | 'body'> = [Schema<Name, Part>] extends [never]
  ? undefined
  : z.output<Schema<Name, Part>>

type Ids<Name extends OperationName> = [Schema<Name, 'params'>] extends [never]
  ? object
  : Pick<PathIds, keyof z.output<Schema<Name, 'params'>> & keyof PathIds>

type Answer<Name extends OperationName> = Operations[Name] extends { readonly media: object } ? Readable : AnswerJson<Name>

type AnswerJson<Name extends OperationName> = Operations[Name]['response'] extends z.ZodType
  ? z.input<Operations[Name]['response']>
  : undefined

/** One request of operation `Name`, after the guard: authenticated, allowed in the tenant of its path, and of the contract's shape. */
export interface Call<Name extends OperationName> {
  readonly name: Name
  readonly principal: Operations[Name]['access']['audience'] extends 'public' ? undefined : Principal
  readonly ids: Ids<Name>
  readonly query: Parsed<Name, 'query'>
  readonly body: Parsed<Name, 'body'>
  readonly deps: RouteDeps
  /** Of the client, as far as trusted proxies vouch for it. */
  readonly address: string
  /** The session's token that the browser sent, valid or not. */
  readonly sessionToken: Secret | undefined
  /** The `Idempotency-Key` as it came, for a creation that is in no organization. */
  readonly idempotencyKey: string | undefined
  /** For the session's cookie and for headers of the answer only. */
  readonly reply: FastifyReply
}

/** Calls of any operation, as the dispatcher sees them. */
export type AnyCall = Call<OperationName>

export interface Implementation<Name extends OperationName> {
  readonly name: Name
  // A method, so that implementations of different operations fit one list; `implement` is what checks the pairing.
  handle(call: Call<Name>): Promise<Answer<Name>>
}

/** Every operation exactly once. */
export type Implementations = { readonly [Name in OperationName]: Implementation<Name> }

/** Ties a handler to its operation. The answer's shape is checked again, and stripped of unknown fields, on its way out. */
export function implement<Name extends OperationName>(
  name: Name,
  handle: (call: Call<Name>) => Promise<Answer<Name>>,
): Implementation<Name> {
  return { name, handle }
}

/** What the table says of an operation, in the table's widest type. */
export function declared(table: Operations, name: OperationName): Operation {
  return table[name]
}
