/**
 * Owns the places where a model call shows what may be kept of it: its meter, told of the answer as it passes, and its sending, which has the body. Refuses to look
 * at a call of an organization that keeps nothing.
 */
import { Pieces, systemClock } from '@sallyport/core'
import type { OrgId, ParsedHeaders } from '@sallyport/core'
import { HeldBody } from '../llm/index.ts'
import type { ModelCall, ModelCalls } from '../llm/index.ts'
import type { MeteredCall, MeteredEnd, Metering, UsageMeter } from '../usage/index.ts'
import type { ContentLog } from './content-log.ts'
import type { Wish, Wishes } from './wishes.ts'

/** Of each part, in bytes; the beginning of a longer one is kept. */
export const MAX_PART_BYTES = 1024 * 1024

const LAST_STATUS = 599

/** The meter of an engine, which has the bodies of those read beforehand that are to be kept. */
export function listeningMeter(meter: UsageMeter, wishes: Wishes, log: ContentLog): UsageMeter {
  return {
    wantsBody(call) {
      const wish = wishes.of(call.principal.org)
      const wants = meter.wantsBody(call)
      if (wish instanceof Promise || wants instanceof Promise) {
        return Promise.all([wish, wants]).then(([{ prompts }, bounds]) => prompts || bounds)
      }
      return wish.prompts || wants
    },
    begin(call) {
      const begun = meter.begin(call)
      const wish = wishes.of(call.principal.org)
      if (!(wish instanceof Promise) && !wish.prompts && !wish.responses) return begun
      if (!(begun instanceof Promise) && !(wish instanceof Promise)) return listening(begun, call, wish, log)
      return Promise.all([begun, wish]).then(([one, wished]) => listening(one, call, wished, log))
    },
  }
}

function listening(metering: Metering, call: MeteredCall, wish: Wish, log: ContentLog): Metering {
  return wish.prompts || wish.responses ? new Listener(metering, call, wish, log) : metering
}

/** The way out, on which the listener of a call is shown the body that goes. */
export function listeningCalls(calls: ModelCalls): ModelCalls {
  return {
    providers: calls.providers,
    settingsOf: (call) => calls.settingsOf(call),
    send(call: ModelCall) {
      if (call.metering instanceof Listener && call.body instanceof HeldBody) call.metering.asked(call.body.bytes)
      return calls.send(call)
    },
  }
}

/** What is heard of one part, as far as there is room for it. */
class Heard {
  readonly #org: OrgId
  readonly #log: ContentLog
  #pieces = new Pieces()
  bytes = 0
  #full = false

  constructor(org: OrgId, log: ContentLog) {
    this.#org = org
    this.#log = log
  }

  hear(piece: Uint8Array): void {
    this.bytes += piece.length
    const wanted = piece.subarray(0, MAX_PART_BYTES - this.#pieces.length)
    if (this.#full || wanted.length === 0) return
    if (!this.#log.enter(this.#org, wanted.length)) return this.giveUp()
    this.#pieces.add(wanted)
  }

  /** No room: a part with a hole in it is none. */
  giveUp(): void {
    this.#log.leave(this.#org, this.#pieces.length)
    ;[this.#pieces, this.#full] = [new Pieces(), true]
    this.#log.drop()
  }

  /** Undefined for nothing, and for what had no room. */
  content(): Buffer | undefined {
    // In no more memory than it needs: it may wait.
    return this.#pieces.length === 0 ? undefined : Buffer.from(this.#pieces.whole())
  }
}

class Listener implements Metering {
  readonly #metering: Metering
  readonly #call: MeteredCall
  readonly #log: ContentLog
  readonly #prompt: Heard | undefined
  readonly #response: Heard | undefined
  readonly #since = systemClock.monotonic()
  #status: number | null = null
  #ended = false

  constructor(metering: Metering, call: MeteredCall, wish: Wish, log: ContentLog) {
    this.#metering = metering
    this.#call = call
    this.#log = log
    this.#prompt = wish.prompts ? new Heard(call.principal.org, log) : undefined
    this.#response = wish.responses ? new Heard(call.principal.org, log) : undefined
  }

  asked(body: Uint8Array): void {
    this.#prompt?.hear(body)
  }

  answered(status: number, headers: ParsedHeaders): void {
    // Three digits may say more, which means nothing (RFC 9110 section 15): a row of it would be refused, and its group with it.
    this.#status = status <= LAST_STATUS ? status : null
    this.#metering.answered(status, headers)
  }

  chunk(bytes: Uint8Array): void {
    this.#metering.chunk(bytes)
    this.#response?.hear(bytes)
  }

  end(outcome: MeteredEnd): void {
    this.#metering.end(outcome)
    if (this.#ended) return
    this.#ended = true
    this.#put('prompt', this.#prompt)
    this.#put('response', this.#response)
  }

  #put(part: 'prompt' | 'response', heard: Heard | undefined): void {
    const content = heard?.content()
    if (heard === undefined || content === undefined) return
    const { principal, request, provider, endUser } = this.#call
    const { org, project, environment } = principal
    // A key of an organization makes no call; nothing was sent, then.
    if (project === null) return this.#log.leave(org, content.length)
    const place = { project, environment }
    const of = { org, place, request, part, provider: provider.id, endUser, since: this.#since }
    this.#log.put({ ...of, status: this.#status, bytes: heard.bytes, content })
  }
}
