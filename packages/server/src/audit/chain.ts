/**
 * Owns the proof that an audit log is whole. Refuses to trust a stored hash: everything is computed again from what the event says. Needs no
 * database: events and checkpoints come from wherever they were kept, and a public key is all that has to be believed.
 *
 *   hash = SHA-256( "sallyport/audit/" form 0x00 | prev_hash, 32 bytes | canonical event )
 *
 * The canonical event is RFC 8785 JSON of action, actor, at, detail, org, seq and target, and in form 2 of `personal` too, as it was sealed; see
 * 0036_personal_facts.sql, which computes the same. Whether what is sealed can still be opened makes no difference.
 */
import { ed25519Verifier, sha256 } from '@sallyport/core'
import type { Ed25519Verifier, OrgId } from '@sallyport/core'
import type { AuditHead, StoredAuditEvent, StoredCheckpoint } from '../db/index.ts'
import { checkpointDigest, checkpointStatement } from './checkpoint.ts'
import type { PersonalFacts } from './personal.ts'

/**
 * - `gap`: an event is missing before it. `link`: it does not follow the one before. `content`: it says other than was hashed.
 * - `head`: the log's counter knows of another end.
 * - `checkpoint`: a checkpoint contradicts the log or the checkpoint before it. `signature`: its signature is not by the key it names, or
 *   the last one is by a key that is not believed. `cut`: it vouches for events that are gone.
 * - `outside`: a checkpoint that left the database is not, or differs from, the one in it.
 * - `unfinished`: an export that ends before its end, or whose end nothing vouches for.
 */
export type AuditFaultReason = 'gap' | 'link' | 'content' | 'head' | 'checkpoint' | 'signature' | 'cut' | 'outside' | 'unfinished'

export interface AuditFault {
  /** The event that it is about, or for which the checkpoint vouches. */
  readonly seq: bigint
  readonly reason: AuditFaultReason
}

export interface AuditVerification {
  readonly intact: boolean
  /** Events that were read; up to the fault, when there is one. */
  readonly events: bigint
  /** Hash of the last event that was found whole; null when there was none. */
  readonly head: Buffer | null
  readonly checkpoints: bigint
  /** Up to which event, and when, a believed key vouched for the log; what came after hangs by its chain alone. */
  readonly vouched: { readonly seq: bigint; readonly at: string } | null
  readonly firstFault: AuditFault | null
}

/**
 * Events in ascending order, each checkpoint behind the event it vouches for; those for events that aren't there at the end. `facts`: what was opened
 * of the event's personal ones, which no chain vouches for. `fault`: what stands here can't be read, or isn't there.
 */
export type LogEntry =
  | { readonly event: StoredAuditEvent; readonly facts?: PersonalFacts | undefined }
  | { readonly checkpoint: StoredCheckpoint }
  | { readonly fault: AuditFaultReason }

/** Checkpoints that left the database: by number, their digests. */
export type OutsideCheckpoints = ReadonlyMap<bigint, { readonly seq: bigint; readonly digest: Buffer }>

export interface VerifyOptions {
  readonly org: OrgId
  /** Where the log says it ends. */
  readonly head?: AuditHead
  /** Public keys by id, as the log's keeper lists them. */
  readonly keys: ReadonlyMap<string, Buffer>
  /** Public keys of which one must have signed the last checkpoint; absent: those listed are believed. */
  readonly trusted?: readonly Buffer[]
  readonly outside?: OutsideCheckpoints
  /** The last event must be vouched for: so ends every export. */
  readonly endsVouched?: boolean
}

const DOMAIN = Buffer.from('sallyport/audit/1\0', 'latin1')
const DOMAIN_PERSONAL = Buffer.from('sallyport/audit/2\0', 'latin1')
const FIRST_PREVIOUS = Buffer.alloc(32)

/** The hash that this event must have. */
export function auditEventHash(event: Omit<StoredAuditEvent, 'hash' | 'form'>): Buffer {
  const member = (name: string, value: string) => `"${name}":${JSON.stringify(value)}`
  const { action, actor, at, detail, org, seq, target, personal } = event
  const before = [member('action', action), member('actor', actor), member('at', at), `"detail":${detail}`, member('org', org)]
  const told = personal === null ? [] : [member('personal', personal)]
  const canonical = `{${[...before, ...told, member('seq', seq.toString()), member('target', target)].join(',')}}`
  return sha256(personal === null ? DOMAIN : DOMAIN_PERSONAL, event.prevHash, canonical)
}

/** The form of an event, which follows from whether it says something of a person. */
export function formOf(personal: string | null): number {
  return personal === null ? 1 : 2
}

/** Walks one organization's log from its first event and stops at the first fault. */
export async function verifyLog(entries: AsyncIterable<LogEntry>, options: VerifyOptions): Promise<AuditVerification> {
  const walk = new Walk(options)
  for await (const entry of entries) {
    const fault = walk.entry(entry)
    if (fault !== undefined) return walk.result(fault)
  }
  return walk.result(walk.end())
}

class Walk {
  readonly #o: VerifyOptions
  readonly #verifiers = new Map<string, Ed25519Verifier>()
  /** Keys that another came after. None of them signs again. */
  readonly #left = new Set<string>()
  #seq = 0n
  #hash: Buffer = FIRST_PREVIOUS
  #last: StoredCheckpoint | undefined

  constructor(options: VerifyOptions) {
    this.#o = options
  }

  entry(entry: LogEntry): AuditFault | undefined {
    if ('event' in entry) return this.#event(entry.event)
    return 'checkpoint' in entry ? this.#checkpoint(entry.checkpoint) : { seq: this.#seq + 1n, reason: entry.fault }
  }

  #event(event: StoredAuditEvent): AuditFault | undefined {
    const reason = this.#judgeEvent(event)
    if (reason !== undefined) return { seq: event.seq, reason }
    this.#seq = event.seq
    this.#hash = event.hash
    return undefined
  }

  #checkpoint(checkpoint: StoredCheckpoint): AuditFault | undefined {
    const reason = this.#judgeCheckpoint(checkpoint)
    if (reason !== undefined) return { seq: checkpoint.seq, reason }
    if (this.#last !== undefined && this.#last.key !== checkpoint.key) this.#left.add(this.#last.key)
    this.#last = checkpoint
    return undefined
  }

  end(): AuditFault | undefined {
    const { head, trusted, outside, keys, endsVouched = false } = this.#o
    if (head !== undefined && (head.seq !== this.#seq || !head.hash.equals(this.#hash))) return { seq: head.seq, reason: 'head' }
    const last = this.#last
    const by = last && keys.get(last.key)
    if (last !== undefined && trusted !== undefined && !trusted.some((key) => by?.equals(key)))
      return { seq: last.seq, reason: 'signature' }
    for (const [number, { seq }] of outside ?? []) if (number > (last?.number ?? 0n)) return { seq, reason: 'outside' }
    if (endsVouched && (last?.seq ?? 0n) !== this.#seq) return { seq: this.#seq, reason: 'unfinished' }
    return undefined
  }

  result(fault: AuditFault | undefined): AuditVerification {
    return {
      intact: fault === undefined,
      events: this.#seq,
      head: this.#seq === 0n ? null : this.#hash,
      checkpoints: this.#last?.number ?? 0n,
      vouched: this.#last === undefined ? null : { seq: this.#last.seq, at: this.#last.at },
      firstFault: fault ?? null,
    }
  }

  #judgeEvent(event: StoredAuditEvent): AuditFaultReason | undefined {
    if (event.seq !== this.#seq + 1n) return 'gap'
    if (!event.prevHash.equals(this.#hash)) return 'link'
    return event.form === formOf(event.personal) && auditEventHash(event).equals(event.hash) ? undefined : 'content'
  }

  #judgeCheckpoint(checkpoint: StoredCheckpoint): AuditFaultReason | undefined {
    const last = this.#last
    const digest = checkpointDigest(checkpoint)
    const outside = this.#o.outside?.get(checkpoint.number)
    if (outside !== undefined && !outside.digest.equals(digest)) return 'outside'
    const follows = checkpoint.number === (last?.number ?? 0n) + 1n && checkpoint.org === this.#o.org
    if (!follows || !checkpoint.previous.equals(last === undefined ? FIRST_PREVIOUS : checkpointDigest(last))) return 'checkpoint'
    if (this.#left.has(checkpoint.key) || !this.#isSigned(checkpoint)) return 'signature'
    if (checkpoint.seq > this.#seq) return 'cut'
    return checkpoint.seq === this.#seq && checkpoint.hash.equals(this.#hash) ? undefined : 'checkpoint'
  }

  #isSigned(checkpoint: StoredCheckpoint): boolean {
    const publicKey = this.#o.keys.get(checkpoint.key)
    if (publicKey === undefined) return false
    const verifier = this.#verifiers.get(checkpoint.key) ?? ed25519Verifier(publicKey)
    this.#verifiers.set(checkpoint.key, verifier)
    return verifier.verify(checkpointStatement(checkpoint), checkpoint.signature)
  }
}
