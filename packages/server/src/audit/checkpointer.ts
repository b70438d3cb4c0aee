/**
 * Owns signing checkpoints of every organization's log, soon after events were appended by whichever node. Every node does it: of several that
 * sign the same number one is stored, and only what is stored goes outside. Refuses to hold appends up: a log without a new checkpoint is a
 * warning, never a refusal.
 */
import { hasCode, Rounds } from '@sallyport/core'
import type { Logger, Metrics, OrgId } from '@sallyport/core'
import { checkpointPut, checkpointStart, isBusy } from '../db/index.ts'
import type { AuditSigningKey, Database, StoredCheckpoint } from '../db/index.ts'
import type { CheckpointSink } from './checkpoint-sink.ts'
import { checkpointDigest, checkpointStatement } from './checkpoint.ts'
import { endLine } from './export-end.ts'
import type { ExportEnd } from './export-end.ts'
import { currentSigner, replaceSigner, signingKeys } from './signing-keys.ts'
import type { CurrentSigner, SigningKeysOptions } from './signing-keys.ts'

export interface Checkpointer {
  /** Every public key that signed or signs, oldest first. */
  keys(): Promise<readonly AuditSigningKey[]>
  /**
   * A checkpoint for all that is in the log by now, whoever signed it: it may vouch for what came meanwhile, too. Undefined for an empty log, and when
   * others were faster again and again.
   */
  checkpoint(org: OrgId): Promise<StoredCheckpoint | undefined>
  /** The last line of an export, signed. */
  exportEnd(end: ExportEnd): Promise<string>
  /**
   * Makes the next key sign and puts a checkpoint by it at the end of every log, so that the retired key vouches for nothing alone any more.
   * Killed between the two, the regular look goes on with it.
   */
  rotate(actor: string): Promise<{ readonly from: string; readonly to: string; readonly checkpoints: number }>
  /** One look at every log that is due. Answers how many checkpoints were stored. */
  look(): Promise<number>
  /** Looks every few seconds, until `close`. */
  start(): void
  /** Ends after the look that is under way. What waits to go outside is tried once more. */
  close(): Promise<void>
}

export interface CheckpointerOptions extends SigningKeysOptions {
  readonly database: Database
  readonly sink: CheckpointSink
  readonly logger: Logger
  readonly metrics: Metrics
  /** A log is due after so many events... */
  readonly everyEvents: number
  /** ...or when it went on and its last checkpoint is so old. */
  readonly everySeconds: number
}

/** How often logs are looked at: what comes on top of `everySeconds`. */
const LOOK_MS = 5_000
const PAGE = 200
/** Public keys are asked for by anybody; they change a few times a year. */
const KEYS_KEPT_MS = 5_000
const FIRST_PREVIOUS = Buffer.alloc(32)
/** Of which it is remembered that it was said. */
const MOST_UNSIGNED = 1_000
/** Each lost race is another's checkpoint, and they come once a minute or so. */
const MOST_RACES = 20

/** `made`: here and now; else it was there. */
interface Signed {
  readonly checkpoint: StoredCheckpoint
  readonly made: boolean
}

export function createCheckpointer(options: CheckpointerOptions): Checkpointer {
  return new DatabaseCheckpointer(options)
}

class DatabaseCheckpointer implements Checkpointer {
  readonly #o: CheckpointerOptions
  readonly #rounds: Rounds
  #failing = false
  /** Logs that could not be signed, as was said. */
  readonly #unsigned = new Set<OrgId>()
  #known: { readonly keys: Promise<readonly AuditSigningKey[]>; readonly at: number } | undefined

  constructor(options: CheckpointerOptions) {
    this.#o = options
    this.#rounds = new Rounds({ round: () => this.#round(), failed: (error) => this.#failed(error), everyMs: LOOK_MS })
  }

  keys(): Promise<readonly AuditSigningKey[]> {
    const known = this.#known
    if (known !== undefined && performance.now() - known.at < KEYS_KEPT_MS) return known.keys
    const keys = signingKeys(this.#o)
    const read = { keys, at: performance.now() }
    this.#known = read
    // What failed is asked again, by the next.
    keys.catch(() => this.#known === read && (this.#known = undefined))
    return keys
  }

  async checkpoint(org: OrgId): Promise<StoredCheckpoint | undefined> {
    for (let attempt = 0; attempt < MOST_RACES; attempt += 1) {
      const signed = await this.#sign(org, await currentSigner(this.#o))
      if (signed === 'raced') continue
      if (signed?.made === true) await this.#o.sink.write([signed.checkpoint])
      return signed?.checkpoint
    }
    return undefined
  }

  async exportEnd(end: ExportEnd): Promise<string> {
    return endLine(end, await currentSigner(this.#o))
  }

  async rotate(actor: string): Promise<{ from: string; to: string; checkpoints: number }> {
    const { id: from } = await currentSigner(this.#o)
    const made = await replaceSigner(this.#o, from, actor)
    this.#known = undefined
    const to = made ?? (await currentSigner(this.#o)).id
    return { from, to, checkpoints: await this.look() }
  }

  async look(): Promise<number> {
    const { database, everyEvents, everySeconds } = this.#o
    const signer = await currentSigner(this.#o)
    let stored = 0
    for (let after: OrgId | undefined; !this.#rounds.closed;) {
      const due = { currentKey: signer.id, events: everyEvents, seconds: everySeconds, after, limit: PAGE }
      const page = await database.lookups.auditCheckpointDue(due)
      const made = await this.#signAll(page, signer)
      stored += made.length
      if (page.length < PAGE) break
      after = page.at(-1)
    }
    return stored
  }

  start(): void {
    this.#rounds.start()
  }

  async close(): Promise<void> {
    await this.#rounds.close()
    await this.#o.sink.close()
  }

  async #round(): Promise<boolean> {
    await this.look()
    if (this.#failing) this.#o.logger.info('Audit checkpoints are signed again')
    this.#failing = false
    return false
  }

  #failed(error: unknown): void {
    this.#o.metrics.count('sallyport_audit_checkpoints_total', { outcome: 'failed' })
    if (!this.#failing) this.#o.logger.error('Audit checkpoints can not be signed', { error })
    this.#failing = true
  }

  /** What is stored goes outside, however the page ends. A log that contradicts itself can't be signed, and is not the others' concern. */
  async #signAll(page: readonly OrgId[], signer: CurrentSigner): Promise<readonly StoredCheckpoint[]> {
    const made: StoredCheckpoint[] = []
    try {
      for (const org of page) {
        const each = await this.#sign(org, signer).catch((error: unknown) => this.#refused(org, error))
        if (each !== undefined && each !== 'raced' && each.made) made.push(each.checkpoint)
      }
    } finally {
      await this.#o.sink.write(made)
    }
    return made
  }

  /** Said once, and counted each time. @throws the error when it is not about this log. */
  #refused(org: OrgId, error: unknown): undefined {
    const busy = isBusy(error)
    if (!busy && hasCode(error, 'database_unavailable')) throw error
    this.#o.metrics.count('sallyport_audit_checkpoints_total', { outcome: 'failed' })
    // Nothing is wrong with it; it stays due.
    if (busy) return
    if (this.#unsigned.has(org) || this.#unsigned.size >= MOST_UNSIGNED) return
    this.#unsigned.add(org)
    this.#o.logger.error('The audit log of an organization can not be signed: verify it', { org, error })
  }

  /** The signature is made inside the transaction that reads the log's end: what is signed was seen. Undefined for an empty log. */
  async #sign(org: OrgId, { id: key, signer }: CurrentSigner): Promise<Signed | 'raced' | undefined> {
    const signed = await this.#o.database.withTenant(org, async (tx) => {
      const { head, last, now: at } = await checkpointStart(tx)
      if (head === null || head.seq === 0n) return undefined
      if (last?.seq === head.seq && last.key === key) return { checkpoint: last, made: false }
      const previous = last === undefined ? FIRST_PREVIOUS : checkpointDigest(last)
      const statement = { org, number: (last?.number ?? 0n) + 1n, seq: head.seq, hash: head.hash, at, previous, key }
      const checkpoint = { ...statement, signature: signer.sign(checkpointStatement(statement)) }
      return (await checkpointPut(tx, checkpoint)) ? { checkpoint, made: true } : 'raced'
    })
    this.#unsigned.delete(org)
    if (signed !== undefined && signed !== 'raced' && signed.made) {
      this.#o.metrics.count('sallyport_audit_checkpoints_total', { outcome: 'stored' })
    }
    return signed
  }
}
