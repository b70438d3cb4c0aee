/**
 * Owns reading from an answer, while it passes by, what it used. Keeps figures, never text: of what a model wrote only the length is known. Refuses to call
 * a guess a measure.
 */
import type { Dialect } from '../schema.ts'
import { AwsFrames } from './aws-frames.ts'
import { callKind, cleanModel, pathOnly, plainPath } from './call.ts'
import type { CallKind } from './call.ts'
import { EventLines } from './event-lines.ts'
import { JsonScan } from './json-scan.ts'
import { wordsOf } from './words.ts'
import type { Words } from './words.ts'

/** Tokens of one call. Null: not known. */
export interface Usage {
  /** `measured`: as the provider said. `estimated`: something of it was reckoned from lengths. */
  readonly source: 'measured' | 'estimated'
  /** All that was read, from caches too. */
  readonly input: number | null
  /** Of the input: read from a cache. */
  readonly cached: number
  /** Of the input: written to a cache. */
  readonly written: number
  /** Of those: to be kept for an hour. */
  readonly writtenLong: number
  /** All that was written, reasoning included. */
  readonly output: number | null
  /** Of the output. */
  readonly reasoning: number
}

/** What an answer said. */
export interface UsageReading {
  readonly usage: Usage | undefined
  /** Which model answered. */
  readonly model: string | undefined
  /** What of the provider's has a price of its own, where it is not its standard: its service level, speed and place, joined by `_`, as `fast_us`. */
  readonly tier: string | undefined
  /** Some tokens were of a kind that has a price of its own, as audio. */
  readonly special: boolean
}

/** The call that is answered. */
export interface AnsweredCall {
  readonly method: string
  /** Below the provider's base. */
  readonly path: string
  readonly status: number
  /** Of the answer, by lower-case name. */
  header(name: string): string | undefined
}

/** How an answer ended, and what is known of its request. */
export interface UsageEnd {
  /** The answer came to its end. */
  readonly whole: boolean
  /** Of the request's body; undefined when that is not known. */
  readonly requestBytes: number | undefined
  /** The most that the model might write; undefined when that is not known. */
  readonly maxOutput: number | undefined
}

/** Taken for one token where nothing better is known: the usual length of English text. */
export const BYTES_PER_TOKEN = 4

/** Reads one answer. `write` takes its body as it comes, decoded, in chunks of any size, and keeps none of it. */
export interface UsageReader {
  write(chunk: Uint8Array): void
  /** Once. */
  end(how: UsageEnd): UsageReading
}

const NOTHING: UsageReading = { usage: undefined, model: undefined, tier: undefined, special: false }
/** In the order in which they are joined. */
const TIER_WORDS = ['tier', 'speed', 'place'] as const
const STANDARD: ReadonlySet<string> = new Set([
  'default',
  'standard',
  'unspecified',
  'auto',
  'on_demand',
  'ON_DEMAND',
  'TRAFFIC_TYPE_UNSPECIFIED',
  'global',
  // Of models that can't be told where to run.
  'not_available',
])

/** Undefined where an answer says nothing of use: it failed, or nothing was asked of a model. */
export function usageReader(dialect: Dialect, call: AnsweredCall): UsageReader | undefined {
  const path = plainPath(pathOnly(call.path))
  const kind = callKind(call.method, path)
  if (kind === 'free' || call.status < 200 || call.status > 299) return undefined
  return new Reading(wordsOf(dialect, path), kind, call)
}

class Reading implements UsageReader {
  readonly #words: Words
  readonly #kind: CallKind
  readonly #call: AnsweredCall
  readonly #scan: JsonScan
  readonly #stream: { write(chunk: Uint8Array): void } | undefined

  constructor(words: Words, kind: CallKind, call: AnsweredCall) {
    this.#words = words
    this.#kind = kind
    this.#call = call
    this.#scan = new JsonScan(words.places)
    this.#stream = streamFor(call.header('content-type'), this.#scan)
  }

  write(chunk: Uint8Array): void {
    this.#stream?.write(chunk)
  }

  end(how: UsageEnd): UsageReading {
    // A number at the very end is over only when something follows it.
    this.#scan.write(Uint8Array.of(0x20))
    const said = this.#said()
    const usage = said === undefined || (!how.whole && !this.#isFinal()) ? this.#estimated(said, how) : said
    return {
      ...NOTHING,
      usage,
      model: cleanModel(this.#scan.texts.get('model')),
      tier: this.#tier(),
      special: this.#figure('audio') > 0 || this.#scan.texts.get('modality')?.toUpperCase() === 'AUDIO',
    }
  }

  /** Undefined when the provider said nothing of output, or of input where there is nothing else. */
  #said(): Usage | undefined {
    const { figures } = this.#scan
    const input = figures.get('input') ?? figures.get('rawInput') ?? this.#header('x-amzn-bedrock-input-token-count')
    if (input === undefined) return undefined
    const output = figures.get('output') ?? figures.get('rawOutput') ?? this.#header('x-amzn-bedrock-output-token-count')
    const isReading = this.#kind === 'embedding' || figures.get('total') === input
    if (output === undefined && !isReading && !this.#words.cumulative) return undefined
    return this.#usage('measured', input, output ?? 0)
  }

  #usage(source: Usage['source'], input: number | null, output: number | null): Usage {
    const [cached, written, thoughts] = [this.#figure('cached'), this.#figure('written'), this.#figure('thoughts')]
    const beside = (this.#words.besideCache ? cached + written : 0) + this.#figure('tools')
    // Some leave reasoning out of what was written, but never out of the total.
    const least = input === null ? 0 : this.#figure('total') - input
    return {
      source,
      input: input === null ? null : input + beside,
      cached,
      written,
      writtenLong: Math.min(this.#figure('writtenLong'), written),
      output: output === null ? null : Math.max(output + thoughts, least),
      reasoning: Math.max(thoughts, this.#figure('reasoning')),
    }
  }

  /**
   * What was said of the input stands. What isn't known of it is reckoned from the request's length; the output from the length of what was written, or
   * where nothing was seen of an answer that is whole, the most that may have been written.
   */
  #estimated(said: Usage | undefined, { whole, requestBytes, maxOutput }: UsageEnd): Usage | undefined {
    if (this.#kind === 'other') return said
    const { figures, weights } = this.#scan
    const reckoned = requestBytes === undefined ? null : tokensOf(requestBytes)
    const input = figures.get('input') ?? figures.get('rawInput') ?? reckoned
    const seen = Math.max(tokensOf(weights.get('text') ?? 0), this.#figure('output'), this.#figure('begun'))
    const unseen = whole && seen === 0 && maxOutput !== undefined ? maxOutput : seen
    const output = this.#kind === 'embedding' ? 0 : unseen
    return input === null && output === 0 ? undefined : this.#usage('estimated', input, output)
  }

  /** What was said before the answer was cut can't become more. */
  #isFinal(): boolean {
    return !this.#words.cumulative && this.#scan.figures.has('output')
  }

  #tier(): string | undefined {
    // Gemini says it in the head alone.
    const head = this.#call.header('x-gemini-service-tier')
    const said = TIER_WORDS.map((name) => this.#scan.texts.get(name) ?? (name === 'tier' ? head : undefined))
    const own = said.filter((text) => text !== undefined && !STANDARD.has(text))
    return own.length === 0 ? undefined : own.join('_')
  }

  #figure(name: string): number {
    return this.#scan.figures.get(name) ?? 0
  }

  #header(name: string): number | undefined {
    const text = this.#call.header(name)
    return text !== undefined && /^\d{1,9}$/u.test(text) ? Number(text) : undefined
  }
}

/** How the answer is cut into documents; undefined for what holds none, as audio. */
function streamFor(contentType: string | undefined, scan: JsonScan): { write(chunk: Uint8Array): void } | undefined {
  const type = contentType?.split(';', 1)[0]?.trim().toLowerCase() ?? ''
  const sink = { data: (bytes: Uint8Array, from: number, to: number) => scan.write(bytes, from, to), end: () => scan.reset() }
  if (type === 'text/event-stream') return new EventLines(sink)
  if (type === 'application/vnd.amazon.eventstream') return new AwsFrames(new Wrapped(scan))
  return /^application\/(?:[a-z0-9.+-]*json[a-z0-9.+-]*|jsonl|x-ndjson)$/u.test(type) ? scan : undefined
}

/** A wrapped event that is larger is not looked into: what was used stands in small ones. */
const MAX_WRAPPED = 64 * 1024

/** Messages of an AWS event stream: JSON, or `{"bytes": base64 of JSON}` around a model's own event. */
class Wrapped {
  readonly #scan: JsonScan
  #pieces: Uint8Array[] = []
  #size = 0

  constructor(scan: JsonScan) {
    this.#scan = scan
  }

  data(bytes: Uint8Array, from: number, to: number): void {
    this.#size += to - from
    if (this.#size <= MAX_WRAPPED) this.#pieces.push(Uint8Array.from(bytes.subarray(from, to)))
    else this.#pieces = []
    this.#scan.write(bytes, from, to)
  }

  end(): void {
    this.#scan.reset()
    const inner = this.#size <= MAX_WRAPPED ? unwrapped(Buffer.concat(this.#pieces)) : undefined
    this.#pieces = []
    this.#size = 0
    if (inner === undefined) return
    this.#scan.write(inner)
    this.#scan.reset()
  }
}

function unwrapped(payload: Buffer): Buffer | undefined {
  const found = /"bytes"\s*:\s*"(?<encoded>[0-9A-Za-z+/=]*)"/u.exec(payload.toString('latin1'))
  return found === null ? undefined : Buffer.from(found.groups!['encoded']!, 'base64')
}

function tokensOf(bytes: number): number {
  return Math.ceil(bytes / BYTES_PER_TOKEN)
}
