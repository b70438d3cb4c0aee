/**
 * Owns bodies that must be at hand before their call goes out: for a look at what is asked for, where a budget needs it, or for a signature. Refuses one that is too
 * large, and to hold more of all together than its bound; and to let one organization have so much of that that the others find no room.
 */
import type { Readable } from 'node:stream'
import { EgressError, plainPath } from '@sallyport/core'
import type { OrgId } from '@sallyport/core'
import { CallError } from '../proxy/index.ts'
import type { HeldBody } from './held-body.ts'
import { excessOf } from './json-shape.ts'
import { createRoom } from './room.ts'

/** A body, and what is known of it. */
export interface AskedBody {
  readonly body: Readable | HeldBody | null
  /** Undefined where it was not read, or names none. */
  readonly model?: string | undefined
  readonly maxOutputTokens?: number | undefined
  /** How many answers it asks for; undefined: one. */
  readonly answers?: number | undefined
  /** It asks for an answer that is worked on later. */
  readonly background?: boolean | undefined
  /** It was read, and is no JSON object in UTF-8: what it asks for is not known here. */
  readonly opaque?: boolean | undefined
  /** Undefined where it is not known beforehand. */
  readonly bytes: number | undefined
}

/** The room of one body. */
export interface HeldRoom {
  /** Gives it back, but for so many bytes that are needed still; without a number, all of it. What is gone is not given back twice. */
  leave(keeping?: number): void
}

export interface BodyHolding {
  /**
   * Reads a body whole and has room for it until `work` has ended, or has given it back. `declared`: its length, where it is; one without takes the room of the
   * largest until it is read. Nothing here keeps the bytes.
   * @throws CallError `payload_too_large`, `overloaded` when too much is held already; EgressError `client_gone` for one that broke off; what `work` throws
   */
  held<T>(owner: OrgId, body: Readable, declared: number | undefined, work: (whole: Buffer, room: HeldRoom) => Promise<T>): Promise<T>
}

/** @param mostEach bytes of one body; @param mostAll of all that are held at once */
export function createBodyHolding(mostEach: number, mostAll: number): BodyHolding {
  const room = createRoom(mostAll)
  return {
    async held(owner, body, declared, work) {
      if (declared !== undefined && declared > mostEach) throw tooLarge('held', mostEach)
      let taken = declared ?? mostEach
      if (!room.enter(owner, taken)) throw new CallError('overloaded', 'bodies held', { publicDetail: 'Too many bodies are read at once.' })
      const leave = (keeping = 0): void => {
        const left = Math.min(taken, keeping)
        room.leave(owner, taken - left)
        taken = left
      }
      // Not waited for here: the bytes would be in the memory of whoever waits.
      const worked = readWhole(body, mostEach).then((whole) => {
        leave(whole.length)
        return work(whole, { leave })
      })
      return await ended(worked, leave)
    },
  }
}

const ended = <T>(work: Promise<T>, leave: () => void): Promise<T> => work.finally(() => leave())

/**
 * What a body asks for, where it is JSON.
 * @param path of its call
 * @throws CallError `bad_request` for JSON of more structure than is read: what it asks for could not be held to a budget
 */
export function asked(body: Buffer, path: string): Omit<AskedBody, 'body'> {
  const excess = excessOf(body)
  // An upload's bytes may look like anything.
  if (excess !== undefined && isJsonObject(body)) throw new CallError('bad_request', excess, { publicDetail: `The body ${excess}.` })
  return { bytes: body.length, ...(excess === undefined ? askedIn(body, path) : OPAQUE) }
}

/** Which setting bounds a body: one that is read whole before its call goes out, or one that passes through. */
const BOUND_BY = {
  held: { setting: 'limits.maxRequestBytes', of: 'a body that must be read whole before its call' },
  streamed: { setting: 'models.maxRequestBytes', of: 'the body of a call of a model' },
} as const

export function tooLarge(how: keyof typeof BOUND_BY, most: number): CallError {
  const { setting, of } = BOUND_BY[how]
  return new CallError('payload_too_large', how, { publicDetail: `${setting} allows ${of} ${most} bytes.` })
}

/** @throws CallError `payload_too_large` beyond `most` bytes; EgressError `client_gone` for one that broke off */
export async function readWhole(request: Readable, most: number): Promise<Buffer> {
  const pieces: Buffer[] = []
  let bytes = 0
  try {
    // A stream that is left early would be destroyed, and with it the connection that the refusal goes out on.
    for await (const piece of request.iterator({ destroyOnReturn: false })) {
      bytes += (piece as Buffer).length
      if (bytes > most) throw tooLarge('held', most)
      pieces.push(piece as Buffer)
    }
  } catch (error) {
    throw error instanceof CallError ? error : new EgressError('client_gone', 'body')
  }
  return Buffer.concat(pieces, bytes)
}

interface Limits {
  /** In which of these objects of the body they stand; absent: in itself. */
  readonly within?: readonly string[]
  readonly names: readonly string[]
}

/** Under which names a call of such a path bounds what is written. Any other name bounds nothing, and many a vendor passes over it. */
const LIMITS: readonly (readonly [path: RegExp, Limits])[] = [
  [/\/completions$/iu, { names: ['max_completion_tokens', 'max_tokens'] }],
  [/\/responses$/iu, { names: ['max_output_tokens'] }],
  [/\/(?:messages|chat)$/iu, { names: ['max_tokens'] }],
  [
    /(?::(?:stream)?generatecontent|\/interactions)$/iu,
    { within: ['generationConfig', 'generation_config'], names: ['maxOutputTokens', 'max_output_tokens'] },
  ],
  [/\/converse(?:-stream)?$/iu, { within: ['inferenceConfig'], names: ['maxTokens'] }],
]
/** Of calls whose words are those of whoever made their model. */
const OF_ANY_MODEL = ['max_completion_tokens', 'max_output_tokens', 'max_tokens', 'maxTokens', 'max_gen_len', 'maxOutputTokens'] as const
/** And how many answers there are to be, each of that length. */
const ANSWERS = ['n', 'best_of', 'candidateCount', 'candidate_count', 'num_generations', 'num_return_sequences'] as const
/** Where some of them put those names. */
const HOLDERS = ['generationConfig', 'generation_config', 'inferenceConfig', 'textGenerationConfig'] as const

const WHITE_SPACE: ReadonlySet<number | undefined> = new Set([0x20, 0x09, 0x0d, 0x0a])

/** By its first byte that is no white space. */
function isJsonObject(body: Buffer): boolean {
  let at = 0
  while (WHITE_SPACE.has(body[at])) at += 1
  return body[at] === 0x7b
}

const OPAQUE = { opaque: true } as const

function askedIn(body: Buffer, path: string): Omit<AskedBody, 'body' | 'bytes'> {
  let asked: unknown
  try {
    asked = JSON.parse(body.toString('utf8'))
  } catch {
    // An upload, what the provider will refuse itself, or what it reads otherwise.
    return OPAQUE
  }
  if (!isObject(asked)) return OPAQUE
  const said = [asked, ...HOLDERS.map((name) => asked[name]).filter(isObject)]
  const counts = (names: readonly string[]): number[] => said.flatMap((one) => names.map((name) => one[name])).filter(isCount)
  const limits = limitsIn(asked, path) ?? counts(OF_ANY_MODEL)
  const answers = Math.max(1, ...counts(ANSWERS)) * promptsIn(asked['prompt'])
  return {
    model: typeof asked['model'] === 'string' ? asked['model'] : undefined,
    maxOutputTokens: largest(limits, answers),
    answers: answers === 1 ? undefined : answers,
    ...(asked['background'] === true && { background: true }),
  }
}

/** Undefined for a path of which nothing is known. */
function limitsIn(asked: Readonly<Record<string, unknown>>, path: string): readonly number[] | undefined {
  const plain = plainPath(path.split('?', 1)[0]!)
  const limits = LIMITS.find(([at]) => at.test(plain))?.[1]
  if (limits === undefined) return undefined
  const holders = limits.within === undefined ? [asked] : limits.within.map((name) => asked[name]).filter(isObject)
  return holders.flatMap((one) => limits.names.map((name) => one[name])).filter(isCount)
}

/** Of nothing at all some say that it is no bound. */
function largest(limits: readonly number[], answers: number): number | undefined {
  const most = Math.max(0, ...limits)
  return most === 0 ? undefined : most * answers
}

/** Of OpenAI's older completions, which answer each of a list of prompts. A list of numbers is one prompt, in tokens. */
function promptsIn(prompt: unknown): number {
  return Array.isArray(prompt) && !prompt.every((one) => typeof one === 'number') ? prompt.length : 1
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
