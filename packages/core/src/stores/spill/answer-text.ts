/**
 * Owns the text of an answer that waits to be saved. Refuses to take anything else for one. What the provider said is in it sealed; whose it
 * is, is not.
 *
 *   { "v": 1, "scope": "...", "id": "...", "intent": "...", "generation": 1, "parent_seq": "1", "sealed": base64url }
 */
import { frame, sha256 } from '../../crypto/index.ts'
import type { SpilledAnswer } from '../../tokens/index.ts'

/** Who is told of entries that are no answers. */
export interface SpillOptions {
  /** An entry that can't be read. It is left where it is: whoever finds out why may still save what it holds. */
  readonly onUnreadable?: (name: string) => void
}

/** One call gives one answer, so an answer is named by its call. */
export function answerName({ ref, intent }: Pick<SpilledAnswer, 'ref' | 'intent'>): string {
  return sha256(frame([ref.scope, ref.id, intent])).toString('hex')
}

export function writeAnswer({ ref, intent, generation, parentSeq, sealed }: SpilledAnswer): string {
  const { scope, id } = ref
  return JSON.stringify({
    v: 1,
    scope,
    id,
    intent,
    generation,
    parent_seq: String(parentSeq),
    sealed: Buffer.from(sealed).toString('base64url'),
  })
}

/** Undefined for anything that `writeAnswer` doesn't write. */
export function readAnswer(text: string): SpilledAnswer | undefined {
  const form = parsed(text)
  if (typeof form !== 'object' || form === null) return undefined
  const { v, scope, id, intent, generation, parent_seq, sealed } = form as Record<string, unknown>
  if (v !== 1 || typeof scope !== 'string' || typeof id !== 'string' || typeof intent !== 'string') return undefined
  if (typeof generation !== 'number' || !Number.isSafeInteger(generation)) return undefined
  if (typeof parent_seq !== 'string' || !/^\d{1,19}$/u.test(parent_seq) || typeof sealed !== 'string' || sealed === '') return undefined
  return { ref: { scope, id }, intent, generation, parentSeq: BigInt(parent_seq), sealed: Buffer.from(sealed, 'base64url') }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
