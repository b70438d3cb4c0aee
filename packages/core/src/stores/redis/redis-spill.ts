/** Owns answers that wait in Redis until they can be saved elsewhere. Refuses expiry, and to delete what it can't read. */
import type { Spill, SpilledAnswer } from '../../tokens/index.ts'
import { answerName, readAnswer, writeAnswer } from '../spill/answer-text.ts'
import type { SpillOptions } from '../spill/answer-text.ts'
import { RedisLink, redisOptions } from './connection.ts'
import type { RedisAddress } from './connection.ts'

const WAITING = 'sallyport:spill'

/** What was put is there after a crash as far as the server writes to disk. All of it rejects with TokenError `store_unavailable`. */
export class RedisSpill implements Spill {
  readonly #link: RedisLink
  readonly #onUnreadable: (name: string) => void

  /** @throws TokenError `store_misconfigured` */
  constructor(address: RedisAddress, { onUnreadable = () => undefined }: SpillOptions = {}) {
    this.#link = new RedisLink(redisOptions(address))
    this.#onUnreadable = onUnreadable
  }

  async put(answer: SpilledAnswer): Promise<void> {
    await this.#link.ask('HSET', WAITING, answerName(answer), writeAnswer(answer))
  }

  async list(): Promise<readonly SpilledAnswer[]> {
    const flat = await this.#link.ask<Buffer[]>('HGETALL', WAITING)
    const answers: SpilledAnswer[] = []
    for (let at = 0; at < flat.length; at += 2) {
      const answer = readAnswer(String(flat[at + 1]))
      if (answer === undefined) this.#onUnreadable(String(flat[at]))
      else answers.push(answer)
    }
    return answers
  }

  async remove(answer: SpilledAnswer): Promise<void> {
    await this.#link.ask('HDEL', WAITING, answerName(answer))
  }

  async close(): Promise<void> {
    await this.#link.close()
  }
}
