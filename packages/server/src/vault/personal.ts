/**
 * Owns what audit events say of people: sealed under a key of whom it is about, and opened for those who may see it. Forgetting somebody destroys that
 * key: the events stay, and say nothing of them any more. Refuses to hold such a key between two transactions, so that nobody is remembered past that.
 */
import {
  CryptoError,
  envelopeKeyId,
  generateKeyBytes,
  isUuid,
  newId,
  openBytes,
  SallyportError,
  seal,
  Secret,
  sealingKey,
} from '@sallyport/core'
import type { Logger, SealingKey } from '@sallyport/core'
import { canonicalJson } from '../audit/index.ts'
import type { AboutPerson, AuditEvent, PersonalFacts, PersonalOpener, PersonalSealer, SealedPersonal } from '../audit/index.ts'
import {
  auditSubjectFind,
  auditSubjectForget,
  auditSubjectKeyInsert,
  auditSubjectKeyList,
  auditSubjectsTaken,
  auditSubjectTurn,
  DatabaseError,
} from '../db/index.ts'
import type { AuditSubjectKey, StoredAuditEvent, TenantTx } from '../db/index.ts'
import { auditPersonalPlace, auditSubjectKeyPlace } from './sealed-columns.ts'
import { isLost } from './vault-error.ts'
import type { Vault } from './vault.ts'

export interface Personal extends PersonalSealer, PersonalOpener {
  /**
   * Destroys the keys of `subjects`, in this transaction. What was known of them by now is not said any more either, wherever it waits to be. How many keys
   * there were. Safe to repeat and to race.
   */
  forget(tx: TenantTx, subjects: readonly string[]): Promise<number>
}

export interface PersonalOptions {
  readonly vault: Pick<Vault, 'seal' | 'openIn'>
  readonly logger: Logger
}

/** Of one fact, in characters: what a caller sends of itself may be long. */
const MAX_FACT = 256

export function createPersonal(options: PersonalOptions): Personal {
  return new SubjectKeys(options)
}

class SubjectKeys implements Personal {
  readonly #o: PersonalOptions

  constructor(options: PersonalOptions) {
    this.#o = options
  }

  async seal(tx: TenantTx, event: Pick<AuditEvent, 'action' | 'target'>, about: AboutPerson): Promise<SealedPersonal | undefined> {
    try {
      return await this.#sealed(tx, event, about)
    } catch (error) {
      // That it happened is on record even where it can't be said of whom, as while whoever holds the root keys is away.
      if (!(error instanceof SallyportError) || error instanceof DatabaseError) throw error
      this.#o.logger.warn('What an audit event says of a person could not be sealed; it says less', { action: event.action, error })
      return undefined
    }
  }

  async #sealed(
    tx: TenantTx,
    event: Pick<AuditEvent, 'action' | 'target'>,
    { subject, facts, ageMs = 0 }: AboutPerson,
  ): Promise<SealedPersonal | undefined> {
    const known = Object.entries(facts).flatMap(([name, value]) =>
      value === null ? [] : [[name, value.replaceAll('\0', '').slice(0, MAX_FACT).toWellFormed()]],
    )
    if (known.length === 0 || !(await auditSubjectsTaken(tx))) return undefined
    const key = await this.#keyOf(tx, subject, ageMs)
    if (key === undefined) return undefined
    const text = canonicalJson(Object.fromEntries(known) as Record<string, string>)
    return seal(key, auditPersonalPlace(tx.org, key.id, event), new Secret(text)).toString('base64url') as SealedPersonal
  }

  async open(tx: TenantTx, events: readonly StoredAuditEvent[]): Promise<ReadonlyMap<bigint, PersonalFacts>> {
    const sealed = events.flatMap((event) =>
      event.personal === null ? [] : [{ event, envelope: Buffer.from(event.personal, 'base64url') }],
    )
    const ids = new Set(sealed.flatMap(({ envelope }) => keyIdOf(envelope) ?? []))
    const keys = new Map<string, SealingKey>()
    for (const row of await auditSubjectKeyList(tx, [...ids])) {
      const key = await this.#opened(tx, row)
      if (key !== undefined) keys.set(row.id, key)
    }
    return new Map(sealed.flatMap(({ event, envelope }) => this.#facts(tx, keys, event, envelope)))
  }

  async forget(tx: TenantTx, subjects: readonly string[]): Promise<number> {
    const inOrder = [...new Set(subjects)].toSorted()
    for (const subject of inOrder) await auditSubjectTurn(tx, subject)
    return auditSubjectForget(tx, inOrder)
  }

  /** The subject's key; made here when it has none. Undefined when the subject was forgotten since. */
  async #keyOf(tx: TenantTx, subject: string, ageMs: number): Promise<SealingKey | undefined> {
    const { key, forgotten } = await auditSubjectFind(tx, subject, ageMs)
    const row = forgotten ? undefined : (key ?? (await this.#make(tx, subject, ageMs)))
    return row && keyFrom(row.id, await this.#o.vault.openIn(tx, auditSubjectKeyPlace(row.id), row.sealed))
  }

  async #make(tx: TenantTx, subject: string, ageMs: number): Promise<AuditSubjectKey | undefined> {
    await auditSubjectTurn(tx, subject)
    // Somebody may have made it before this turn came, or forgotten the subject.
    const { key, forgotten } = await auditSubjectFind(tx, subject, ageMs)
    if (forgotten || key !== undefined) return forgotten ? undefined : key
    const id: string = newId('dk')
    const bytes = generateKeyBytes()
    const sealed = await this.#o.vault.seal(tx, auditSubjectKeyPlace(id), new Secret(bytes.toString('base64url')))
    bytes.fill(0)
    const made = { id, subject, sealed }
    await auditSubjectKeyInsert(tx, made)
    return made
  }

  /** Undefined for one whose own key was destroyed: with its organization, or by the organization's wish. */
  async #opened(tx: TenantTx, { id, sealed }: AuditSubjectKey): Promise<SealingKey | undefined> {
    try {
      return keyFrom(id, await this.#o.vault.openIn(tx, auditSubjectKeyPlace(id), sealed))
    } catch (error) {
      if (isLost(error)) return undefined
      throw error
    }
  }

  #facts(tx: TenantTx, keys: ReadonlyMap<string, SealingKey>, event: StoredAuditEvent, envelope: Buffer): [bigint, PersonalFacts][] {
    const key = keys.get(keyIdOf(envelope) ?? '')
    if (key === undefined) return []
    try {
      const bytes = openBytes((id) => (id === key.id ? key : undefined), auditPersonalPlace(tx.org, key.id, event), envelope)
      return [[event.seq, JSON.parse(bytes.toString('utf8')) as PersonalFacts]]
    } catch (error) {
      if (!(error instanceof CryptoError)) throw error
      // Somebody put it where it does not belong, which verifying the log tells as well.
      this.#o.logger.error('Personal facts of an audit event do not open', { org: tx.org, seq: event.seq.toString(), code: error.code })
      return []
    }
  }
}

function keyFrom(id: string, secret: Secret): SealingKey {
  const bytes = Buffer.from(secret.reveal(), 'base64url')
  try {
    return sealingKey(id, bytes)
  } finally {
    bytes.fill(0)
  }
}

function keyIdOf(envelope: Buffer): string | undefined {
  try {
    const id = envelopeKeyId(envelope)
    return isUuid(id) ? id : undefined
  } catch (error) {
    if (!(error instanceof CryptoError)) throw error
    return undefined
  }
}
