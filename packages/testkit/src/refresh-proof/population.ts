/**
 * Owns the credentials of a proof as their store holds them, read past all wires: connects them, watches for grants that end, connects those
 * anew as their people would, and says in the end what is held of each grant. Refuses to refresh anything.
 */
import { setTimeout as after } from 'node:timers/promises'
import { hasCode, Secret } from '@sallyport/core'
import type { CredentialRef, CredentialState, CredentialStore, TokenSet } from '@sallyport/core'
import { readToken } from './grant-ledger.ts'
import type { Holding } from './history.ts'
import type { IssuedGrant, IssuerControl } from './hostile-issuer.ts'
import { SCOPE } from './worker-messages.ts'

/** Where credentials are kept, and who issues their tokens. */
export interface Standing {
  readonly store: CredentialStore
  readonly issuer: IssuerControl
  readonly client: string
}

/** How a credential comes to be, and what it is called in the store. */
export interface Consents {
  refOf(credential: string): CredentialRef
  /** A person's consent. False where a node in trouble may not have taken it: another consent is given then, never the same one twice. */
  connect(credential: string, issued: IssuedGrant, expired: boolean): Promise<boolean>
}

/** Into the store itself. */
export function storeConsents(store: CredentialStore): Consents {
  return {
    refOf,
    async connect(credential, issued, expired) {
      await patiently(() => store.connect(refOf(credential), tokensOf(issued, expired)))
      return true
    },
  }
}

const ATTEMPTS = 40

export class Population {
  /** Ids of the credentials. */
  readonly credentials: readonly string[]
  /** Holdings of grants that ended, read when they were first seen to have. */
  readonly #ended: Holding[] = []
  readonly #on: Standing
  readonly #consents: Consents

  constructor(size: number, on: Standing, consents: Consents) {
    this.credentials = Array.from({ length: size }, (_, index) => `user-${index}`)
    this.#on = on
    this.#consents = consents
  }

  async connectAll(): Promise<void> {
    for (const credential of this.credentials) await this.connect(credential)
  }

  /** `expired` for tokens that need a refresh at once. Gives the grant's id. */
  async connect(credential: string, expired = false): Promise<string> {
    const { issuer, client } = this.#on
    for (let attempt = 1; ; attempt++) {
      const issued = await issuer.grant(client)
      if (await this.#consents.connect(credential, issued, expired)) return issued.grant
      if (attempt === ATTEMPTS) throw new Error(`nobody takes ${credential} over`)
      await after(250)
    }
  }

  /** Looks at every credential once. A grant that was ended is noted and, unless `keep`, connected anew. */
  async look(keep = false): Promise<void> {
    for (const credential of this.credentials) await this.lookAt(credential, keep)
  }

  async lookAt(credential: string, keep = false): Promise<void> {
    const state = await this.state(credential)
    if (state.status === 'active') return
    const grant = grantOf(state)
    if (!this.#ended.some((holding) => holding.grant === grant)) this.#ended.push(await this.#holding(state, Date.now()))
    if (!keep) await this.connect(credential)
  }

  async state(credential: string): Promise<CredentialState> {
    const state = await patiently(() => this.#on.store.read(this.#consents.refOf(credential)))
    if (state === undefined) throw new Error(`the store forgot ${credential}`)
    return state
  }

  /** What is held of every grant that is or was somebody's. */
  async holdings(): Promise<Holding[]> {
    await this.look(true)
    const current: Holding[] = []
    for (const credential of this.credentials) {
      const state = await this.state(credential)
      if (!this.#ended.some((holding) => holding.grant === grantOf(state))) current.push(await this.#holding(state, null))
    }
    return [...this.#ended, ...current]
  }

  async #holding(state: CredentialState, labelledAt: number | null): Promise<Holding> {
    const siblings = await patiently(() => this.#on.store.siblings(state.ref))
    return {
      grant: grantOf(state),
      status: state.status,
      trouble: state.failure?.trouble ?? null,
      labelledAt,
      head: serialOf(state.head.tokens)!,
      siblings: siblings.flatMap(({ tokens }) => serialOf(tokens) ?? []),
      unsettled: state.intent !== null,
    }
  }
}

/** The judge has no wire that breaks, but on a busy machine the store may be later than it promises. Everything asked here may be asked again. */
async function patiently<T>(ask: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await ask()
    } catch (error) {
      if (attempt === ATTEMPTS || !hasCode(error, 'store_unavailable')) throw error
      await after(250)
    }
  }
}

export function refOf(credential: string): CredentialRef {
  return { scope: SCOPE, id: credential }
}

function tokensOf({ accessToken, refreshToken, expiresIn }: IssuedGrant, expired: boolean): TokenSet {
  return {
    accessToken: new Secret(accessToken),
    refreshToken: new Secret(refreshToken),
    tokenType: 'bearer',
    expiresAt: Date.now() + (expired ? -1 : expiresIn * 1000),
    scopes: ['all'],
    extra: new Secret('{}'),
  }
}

function grantOf({ head }: CredentialState): string {
  return readToken(head.tokens.refreshToken!.reveal())!.grant
}

function serialOf({ refreshToken }: TokenSet): number | undefined {
  return refreshToken === null ? undefined : readToken(refreshToken.reveal())?.serial
}
