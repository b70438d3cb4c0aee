/**
 * Owns what the gateway asks of a streamed chat completion beside what its caller asked for: how many tokens it used, which OpenAI says only to those who ask.
 * Refuses to show the answer to that to a caller who did not ask, and to change anything else: every other byte passes, event by event.
 */
import { Pieces } from '@sallyport/core'
import type { Asked, ModelProvider, ResponseSink } from '@sallyport/core'
import { Through } from './sinks.ts'

const OPTIONS = 'stream_options'

/** The same question, asking for usage; undefined where that was asked for, goes without asking, or can't be asked. */
export function askingForUsage(asked: Asked, { chat }: Pick<ModelProvider, 'chat'>): Asked | undefined {
  const options: unknown = asked[OPTIONS] ?? {}
  if (asked['stream'] !== true || chat?.lacks.includes(OPTIONS) === true) return undefined
  // What is none is the provider's to refuse.
  if (typeof options !== 'object' || options === null || Array.isArray(options)) return undefined
  const said: unknown = 'include_usage' in options ? options.include_usage : false
  return said === false || said === null ? { ...asked, [OPTIONS]: { ...options, include_usage: true } } : undefined
}

/** `sink`, without the event that says nothing but how much was used. Answers that are no stream of events pass as they are. */
export function withoutUsage(sink: ResponseSink): ResponseSink {
  return new UsageLeftOut(sink)
}

/** They say how long the body is, or what is in it, and something is left out of it. */
const OF_THE_WHOLE: ReadonlySet<string> = new Set(['content-length', 'content-md5', 'digest', 'repr-digest', 'content-digest', 'etag'])
const EVENT_STREAM = /^text\/event-stream(?:$|[ ;])/iu
/** The event in question takes some hundreds. */
const MOST_HELD = 64 * 1024
const [LF, CR] = [0x0a, 0x0d]

class UsageLeftOut extends Through {
  #isStream = false
  /** Of the event under way, as far as it may still be the one. */
  #held = new Pieces()
  /** It is too long to be the one, and passes as it comes. */
  #passes = false
  /** Nothing of the line under way was seen. */
  #lineIsEmpty = true
  /** The last byte was a CR: a LF after it belongs to it. */
  #afterCr = false

  override writeHead(status: number, headers: string[]): unknown {
    const type = headers.findIndex((name, at) => at % 2 === 0 && name.toLowerCase() === 'content-type')
    this.#isStream = status === 200 && type !== -1 && EVENT_STREAM.test(headers[type + 1]!)
    return this.sink.writeHead(status, this.#isStream ? headers.filter((_, at) => !isOfTheWhole(headers[at - (at % 2)]!)) : headers)
  }

  override write(chunk: Buffer): boolean {
    if (!this.#isStream) return this.sink.write(chunk)
    const passing: Buffer[] = []
    let from = 0
    for (let to = this.#endIn(chunk, from); to !== -1; to = this.#endIn(chunk, from)) {
      this.#take(chunk.subarray(from, to), passing)
      this.#endEvent(passing)
      from = to
    }
    this.#take(chunk.subarray(from), passing)
    return passing.length === 0 || this.sink.write(passing.length === 1 ? passing[0]! : Buffer.concat(passing))
  }

  override end(): unknown {
    this.#giveHeld()
    return this.sink.end()
  }

  override destroy(): unknown {
    this.#giveHeld()
    return this.sink.destroy()
  }

  /** Where the event under way ends: behind an empty line (WHATWG HTML section 9.2.6), of which LF, CR and CR LF are ends. */
  #endIn(chunk: Buffer, from: number): number {
    for (let at = from; at < chunk.length; at++) {
      const byte = chunk[at]!
      const isSecondHalf = byte === LF && this.#afterCr
      this.#afterCr = byte === CR
      if (isSecondHalf) continue
      const isEnd = byte === LF || byte === CR
      if (isEnd && this.#lineIsEmpty) return this.#behind(chunk, at)
      this.#lineIsEmpty = isEnd
    }
    return -1
  }

  /** Where the CR LF of an event's end is in one piece, it goes with the event. */
  #behind(chunk: Buffer, at: number): number {
    if (chunk[at] !== CR || chunk[at + 1] !== LF) return at + 1
    this.#afterCr = false
    return at + 2
  }

  #take(piece: Buffer, passing: Buffer[]): void {
    if (piece.length === 0) return
    if (!this.#passes && this.#held.length + piece.length > MOST_HELD) {
      this.#passes = true
      if (this.#held.length > 0) passing.push(this.#taken())
    }
    if (this.#passes) passing.push(piece)
    else this.#held.add(piece)
  }

  #endEvent(passing: Buffer[]): void {
    if (!this.#passes) {
      const event = this.#taken()
      if (!saysUsageAlone(event)) passing.push(event)
    }
    this.#passes = false
  }

  #taken(): Buffer {
    const whole = this.#held.whole()
    this.#held = new Pieces()
    return whole
  }

  #giveHeld(): void {
    if (this.#held.length > 0 && !this.sink.destroyed) this.sink.write(this.#taken())
  }
}

function isOfTheWhole(name: string): boolean {
  return OF_THE_WHOLE.has(name.toLowerCase())
}

/** Cheap, and true of few: others are not parsed. */
const NO_CHOICES = /"choices"\s*:\s*\[\s*\]/u
const DATA = /^data: ?(?<data>.*)$/gmu

function saysUsageAlone(event: Buffer): boolean {
  const text = event.toString('utf8')
  if (!NO_CHOICES.test(text)) return false
  try {
    const said: unknown = JSON.parse([...text.replaceAll(/\r\n?/gu, '\n').matchAll(DATA)].map(({ groups }) => groups!['data']).join('\n'))
    if (typeof said !== 'object' || said === null || !('choices' in said) || !('usage' in said)) return false
    return Array.isArray(said.choices) && said.choices.length === 0 && typeof said.usage === 'object' && said.usage !== null
  } catch {
    // No JSON, so nothing of ours.
    return false
  }
}
