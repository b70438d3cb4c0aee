/**
 * Owns doing a creation once, however often it is asked for with the same `Idempotency-Key`: the same answer for a day, and one creation for any number
 * of callers at once and through a kill at any point. Refuses to keep a key or a request, whose hashes are keyed, and to keep an answer but sealed: it
 * may hold what is shown once.
 */
import { randomUUID } from 'node:crypto'
import { digestEquals, frame, hmacSha256, Secret } from '@sallyport/core'
import type { KeyObject, Logger, OrgId } from '@sallyport/core'
import { creating, creationAnswered, creationBegin, creationDrop, creationFind } from '../db/index.ts'
import type { Creation, Database, IdempotentCreation } from '../db/index.ts'
import { idempotentAnswerPlace } from '../vault/index.ts'
import type { Vault } from '../vault/index.ts'
import { IdempotencyError } from './idempotency-error.ts'

export interface IdempotencyOptions {
  readonly database: Pick<Database, 'withTenant'>
  readonly vault: Pick<Vault, 'seal' | 'open'>
  /** `vault.systemSecret('idempotency_key')`. */
  readonly key: KeyObject
  readonly logger: Logger
}

/** A creation as it was asked for. */
export interface AskedCreation {
  readonly org: OrgId
  /** `key_...` or `user_...`: another caller's key is another key. */
  readonly caller: string
  /** The header, as it came. */
  readonly key: string
  readonly operation: string
  /** Everything else that makes it this request and no other; JSON. */
  readonly request: unknown
  /** Of the audit event that says it was made. */
  readonly action: string
}

export interface Idempotency {
  /**
   * What `work` answers, or answered before. `replayed` says which. A failure of `work` that made nothing frees the key.
   * @throws IdempotencyError, and whatever `work` throws
   */
  once<Answer>(asked: AskedCreation, work: () => Promise<Answer>): Promise<{ readonly answer: Answer; readonly replayed: boolean }>
  /** By what a creation is known that is in no organization yet, for whoever keeps it itself. @throws IdempotencyError `idempotency_key_invalid` */
  hashes(asked: Pick<AskedCreation, 'caller' | 'key' | 'operation' | 'request'>): CreationHashes
}

/** Keyed: neither the key nor the request can be read from them. */
export interface CreationHashes {
  readonly keyHash: Buffer
  readonly requestHash: Buffer
}

/**
 * A creation that did not come to its answer in so long has died: without anything made it is taken over, and should it live, it is refused when it comes
 * to make something; with it, the answer is lost. Until then the one who asks again is told to wait, since made and answered are two commits.
 */
const DEAD_AFTER_S = 60
const KEY = /^[!-~]{1,255}$/u

export function createIdempotency(options: IdempotencyOptions): Idempotency {
  return { once: (asked, work) => once(options, asked, work), hashes: (asked) => hashesOf(options.key, asked) }
}

async function once<Answer>(
  options: IdempotencyOptions,
  asked: AskedCreation,
  work: () => Promise<Answer>,
): Promise<{ answer: Answer; replayed: boolean }> {
  const { keyHash, requestHash } = hashesOf(options.key, asked)
  const creation: Creation = { org: asked.org, keyHash, attempt: randomUUID(), action: asked.action }
  const standing = await options.database.withTenant(asked.org, async (tx) => {
    const begun = await creationBegin(tx, { keyHash, requestHash, attempt: creation.attempt }, DEAD_AFTER_S)
    // What stood there a statement ago and is gone has failed: whoever asks again now begins it.
    return begun ? undefined : ((await creationFind(tx, keyHash)) ?? 'freed')
  })
  if (standing === 'freed') throw underWay()
  if (standing !== undefined) return { answer: (await answerOf(options, asked.org, requestHash, standing)) as Answer, replayed: true }
  return { answer: await perform(options, creation, work), replayed: false }
}

function hashesOf(by: KeyObject, { caller, key, operation, request }: Parameters<Idempotency['hashes']>[0]): CreationHashes {
  if (!KEY.test(key)) throw new IdempotencyError('idempotency_key_invalid', 'Idempotency-Key takes 1 to 255 visible ASCII characters.')
  return {
    keyHash: hmacSha256(by, frame(['key', caller, key])),
    requestHash: hmacSha256(by, frame(['request', operation, ordered(request)])),
  }
}

/** What was made under the key is something else than is asked for now. */
export function requireSameRequest(made: Buffer, asked: Buffer): void {
  if (!digestEquals(made, asked)) {
    throw new IdempotencyError('idempotency_mismatch', 'This Idempotency-Key was used for another request: take another.')
  }
}

async function perform<Answer>(options: IdempotencyOptions, creation: Creation, work: () => Promise<Answer>): Promise<Answer> {
  const { database, vault, logger } = options
  const { org, keyHash, attempt } = creation
  try {
    const answer = await creating(creation, work)
    const text = new Secret(JSON.stringify(answer))
    // What was made stays made: without its answer a repetition is told so.
    await database
      .withTenant(org, async (tx) => creationAnswered(tx, keyHash, attempt, await vault.seal(tx, idempotentAnswerPlace(attempt), text)))
      .catch((error: unknown) => logger.warn('The answer of a creation could not be kept', { error }))
    return answer
  } catch (error) {
    // Only while nothing is marked as made. Should this fail too, the key is taken over in a minute.
    await database
      .withTenant(org, (tx) => creationDrop(tx, keyHash, attempt))
      .catch((failure: unknown) => logger.debug('A creation that failed could not be forgotten', { error: failure }))
    throw error
  }
}

async function answerOf({ vault }: IdempotencyOptions, org: OrgId, requestHash: Buffer, standing: IdempotentCreation): Promise<unknown> {
  requireSameRequest(standing.requestHash, requestHash)
  if (standing.state === 'running' || (standing.answer === null && standing.ageS < DEAD_AFTER_S)) throw underWay()
  if (standing.answer === null) {
    throw new IdempotencyError('idempotency_answer_lost', `It was done and its answer was lost: see ${standing.target ?? 'the list'}.`)
  }
  const text = await vault.open(org, idempotentAnswerPlace(standing.attempt), standing.answer)
  return JSON.parse(text.reveal()) as unknown
}

function underWay(): IdempotencyError {
  return new IdempotencyError('idempotency_in_progress', 'The same request is being worked on: ask again in a moment.')
}

/** The same text for the same JSON, in whatever order its members stand. */
function ordered(value: unknown): string {
  return JSON.stringify(value, (_name, inner: unknown) =>
    inner !== null && typeof inner === 'object' && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).toSorted(([one], [other]) => (one < other ? -1 : 1)))
      : inner,
  )
}
