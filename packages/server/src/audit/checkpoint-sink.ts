/**
 * Owns the places outside the database where checkpoints go: a file that is only ever appended to and synced, and the log. Who can rewrite the
 * database can't take back what stands there. Refuses to lose a checkpoint in silence: what can't be written waits, bounded, and every
 * checkpoint carries a number by which a reader sees what is missing.
 */
import { constants } from 'node:fs'
import { mkdir, open } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Logger, Metrics } from '@sallyport/core'
import type { StoredCheckpoint } from '../db/index.ts'
import { checkpointJson, checkpointLine } from './checkpoint.ts'

export interface CheckpointSink {
  /** Takes checkpoints that are in the database. Resolves when all that wait are written, or can't be now; never rejects. */
  write(checkpoints: readonly StoredCheckpoint[]): Promise<void>
  /** Checkpoints that wait. */
  readonly waiting: number
  /** Writes what waits, once more. Never rejects. */
  close(): Promise<void>
}

export interface CheckpointSinkOptions {
  /** Absolute or relative to the working directory; undefined for none. */
  readonly file: string | undefined
  /** Each goes to the log, too: from there to wherever logs are kept. */
  readonly toLog: boolean
  readonly logger: Logger
  readonly metrics: Metrics
  /** Checkpoints that may wait; 10,000 when absent. */
  readonly maxWaiting?: number
}

export function createCheckpointSink(options: CheckpointSinkOptions): CheckpointSink {
  return new FileAndLogSink(options)
}

class FileAndLogSink implements CheckpointSink {
  readonly #o: CheckpointSinkOptions
  #waiting: StoredCheckpoint[] = []
  #dropped = 0
  #failing = false
  #writing: Promise<void> = Promise.resolve()

  constructor(options: CheckpointSinkOptions) {
    this.#o = options
  }

  get waiting(): number {
    return this.#waiting.length
  }

  write(checkpoints: readonly StoredCheckpoint[]): Promise<void> {
    if (this.#o.toLog) for (const each of checkpoints) this.#o.logger.info('Audit checkpoint', checkpointJson(each))
    if (this.#o.file === undefined) return Promise.resolve()
    this.#hold(checkpoints)
    this.#writing = this.#writing.then(() => this.#flush(this.#o.file!))
    return this.#writing
  }

  close(): Promise<void> {
    return this.write([])
  }

  /** The oldest go first: the newest vouches for all before it. */
  #hold(checkpoints: readonly StoredCheckpoint[]): void {
    const { maxWaiting = 10_000, metrics } = this.#o
    this.#waiting.push(...checkpoints)
    const over = this.#waiting.length - maxWaiting
    if (over <= 0) return
    this.#waiting.splice(0, over)
    this.#dropped += over
    metrics.count('sallyport_audit_checkpoints_outside_total', { outcome: 'dropped' }, over)
  }

  async #flush(path: string): Promise<void> {
    const { logger, metrics } = this.#o
    const batch = this.#waiting
    if (batch.length === 0) return
    this.#waiting = []
    try {
      await appendLines(path, batch.map(checkpointLine))
      metrics.count('sallyport_audit_checkpoints_outside_total', { outcome: 'written' }, batch.length)
      if (this.#failing) logger.info('Audit checkpoints are written outside again', { dropped: this.#dropped })
      this.#failing = false
      this.#dropped = 0
    } catch (error) {
      this.#waiting = [...batch, ...this.#waiting]
      metrics.count('sallyport_audit_checkpoints_outside_total', { outcome: 'failed' })
      if (!this.#failing) logger.error('Audit checkpoints can not be written outside the database; they wait', { path, error })
      this.#failing = true
    }
  }
}

/** On disk when it resolves. A line that a crash cut short is ended first, so that it spoils no other. */
async function appendLines(path: string, lines: readonly string[]): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  const file = await open(path, constants.O_RDWR | constants.O_APPEND | constants.O_CREAT, 0o600)
  try {
    const text = `${(await endsInLine(file)) ? '' : '\n'}${lines.join('\n')}\n`
    await file.appendFile(text)
    await file.datasync()
  } finally {
    await file.close()
  }
}

async function endsInLine(file: FileHandle): Promise<boolean> {
  const { size } = await file.stat()
  if (size === 0) return true
  const { buffer } = await file.read(Buffer.alloc(1), 0, 1, size - 1)
  return buffer[0] === 0x0a
}
