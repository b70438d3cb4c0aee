/**
 * Owns reading generateContent's answers, in one piece and streamed, into OpenAI's words. Refuses to throw at anything that a vendor could send.
 * https://ai.google.dev/api/generate-content#generatecontentresponse
 */
import { eventStream } from '../event-stream.ts'
import { Chunks, callBegins, completion, imageItem } from './completion.ts'
import type { CalledTool, Choice, FinishReason, TokenCounts } from './completion.ts'
import { eventAnswer } from './event-answer.ts'
import type { VendorEvents } from './event-answer.ts'
import { count, fields, isObject, objects, text } from './json.ts'
import type { Json } from './json.ts'
import type { AnswerStream, Asked, CallerAnswer, Stamps } from './translation.ts'
import { UNREADABLE, failure, failureAnswer } from './vendor-failure.ts'
import type { VendorFailure } from './vendor-failure.ts'

/** What is not here ended by itself. Output that the vendor held back, for its kind or because it was malformed, is filtered. */
const FINISH: Readonly<Record<string, FinishReason>> = {
  MAX_TOKENS: 'length',
  SAFETY: 'content_filter',
  RECITATION: 'content_filter',
  LANGUAGE: 'content_filter',
  BLOCKLIST: 'content_filter',
  PROHIBITED_CONTENT: 'content_filter',
  SPII: 'content_filter',
  MALFORMED_FUNCTION_CALL: 'content_filter',
  MALFORMED_RESPONSE: 'content_filter',
  UNEXPECTED_TOOL_CALL: 'content_filter',
  TOO_MANY_TOOL_CALLS: 'content_filter',
  IMAGE_SAFETY: 'content_filter',
  IMAGE_PROHIBITED_CONTENT: 'content_filter',
  IMAGE_RECITATION: 'content_filter',
  IMAGE_OTHER: 'content_filter',
  NO_IMAGE: 'content_filter',
}

function finishOf(reason: string, called: boolean): FinishReason {
  return Object.hasOwn(FINISH, reason) ? FINISH[reason]! : called ? 'tool_calls' : 'stop'
}

/** A wrong key is a malformed request to this vendor (status 400); to OpenAI's clients it is their key. */
export function failureOf(status: number | undefined, json: unknown): VendorFailure {
  const error = fields(fields(Array.isArray(json) ? json[0] : json)['error'])
  const wrongKey = objects(error['details']).some(({ reason }) => reason === 'API_KEY_INVALID')
  return failure(wrongKey ? 401 : (status ?? (count(error['code']) || 500)), text(error['message']), text(error['status']))
}

/** Thoughts are beside what came out, in this vendor's count. */
function countsOf(usage: Json): TokenCounts {
  const thoughts = usage['thoughtsTokenCount']
  return {
    prompt: count(usage['promptTokenCount']) + count(usage['toolUsePromptTokenCount']),
    cached: count(usage['cachedContentTokenCount']),
    completion: count(usage['candidatesTokenCount']) + count(thoughts),
    reasoning: typeof thoughts === 'number' ? count(thoughts) : undefined,
  }
}

/** Of generateContent. */
export function geminiAnswer(status: number, json: unknown, asked: Asked, stamps: Stamps): CallerAnswer {
  if (status !== 200) return failureAnswer(failureOf(status, json))
  const answer = fields(json)
  const candidates = objects(answer['candidates'])
  const blocked = blockOf(answer)
  if (candidates.length === 0 && blocked === undefined) return failureAnswer(UNREADABLE)
  const from = { id: text(answer['responseId']), model: text(answer['modelVersion']), asked, stamps }
  const choices = candidates.length === 0 ? [blocked!] : candidates.map((candidate) => choiceOf(candidate, stamps))
  return { status, body: completion(from, choices, countsOf(fields(answer['usageMetadata']))) }
}

/** A prompt that was not let through: an answer without words. */
function blockOf(answer: Json): Choice | undefined {
  const feedback = fields(answer['promptFeedback'])
  if (text(feedback['blockReason']) === undefined) return undefined
  return { content: null, refusal: text(feedback['blockReasonMessage']) ?? null, calls: [], finish: 'content_filter' }
}

const partsOf = (candidate: Json): readonly Json[] => objects(fields(candidate['content'])['parts'])
const isThought = (part: Json): boolean => part['thought'] === true

function choiceOf(candidate: Json, stamps: Stamps): Choice {
  const parts = partsOf(candidate)
  const said = textOf(parts.filter((part) => !isThought(part)))
  const calls = parts.flatMap((part) => callOf(part, stamps))
  return {
    content: said ?? null,
    reasoning: textOf(parts.filter(isThought)),
    calls,
    images: parts.flatMap(pictureOf),
    finish: finishOf(text(candidate['finishReason']) ?? '', calls.length > 0),
  }
}

function textOf(parts: readonly Json[]): string | undefined {
  const texts = parts.flatMap((part) => text(part['text']) ?? [])
  return texts.length === 0 ? undefined : texts.join('')
}

function callOf(part: Json, stamps: Stamps): CalledTool[] {
  const called = part['functionCall']
  if (!isObject(called)) return []
  const signature = text(part['thoughtSignature'])
  return [
    {
      id: text(called['id']) ?? `call_${stamps.id()}`,
      type: 'function',
      function: { name: text(called['name']) ?? '', arguments: JSON.stringify(called['args'] ?? {}) },
      // Where Google's own compatible address has it; callers hand it back with the call.
      ...(signature !== undefined && { extra_content: { google: { thought_signature: signature } } }),
    },
  ]
}

function pictureOf(part: Json): string[] {
  const { mimeType, data } = fields(part['inlineData'])
  return typeof mimeType === 'string' && typeof data === 'string' ? [`data:${mimeType};base64,${data}`] : []
}

/** Of streamGenerateContent with `alt=sse`. */
export function geminiStream(asked: Asked, stamps: Stamps): AnswerStream {
  return eventAnswer(eventStream(), new ContentEvents(new Chunks(asked, stamps), stamps))
}

/** As many as OpenAI's API can ask for. */
const MAX_CHOICES = 128

/** One answer among several: how many calls it made, and whether it is at its end. */
interface OpenChoice {
  calls: number
  finished: boolean
}

/** Every event is a whole answer by its form, and holds what is new. */
class ContentEvents implements VendorEvents {
  readonly #chunks: Chunks
  readonly #stamps: Stamps
  readonly #choices = new Map<number, OpenChoice>()
  #usage: Json = {}

  constructor(chunks: Chunks, stamps: Stamps) {
    this.#chunks = chunks
    this.#stamps = stamps
  }

  read(event: Json): readonly object[] | VendorFailure {
    if ('error' in event) return failureOf(undefined, event)
    this.#chunks.named(text(event['responseId']), text(event['modelVersion']))
    if (isObject(event['usageMetadata'])) this.#usage = event['usageMetadata']
    const blocked = blockOf(event)
    if (blocked !== undefined) return this.#blocked(blocked)
    const candidates = objects(event['candidates'])
    if (candidates.some(({ index }) => count(index) >= MAX_CHOICES)) return UNREADABLE
    return candidates.flatMap((candidate) => this.#candidate(candidate, count(candidate['index'])))
  }

  /** This vendor has no last event: an answer is whole when each of its choices is. */
  finish(): readonly object[] | undefined {
    const choices = [...this.#choices.values()]
    return choices.length > 0 && choices.every(({ finished }) => finished) ? this.#chunks.usage(countsOf(this.#usage)) : undefined
  }

  #blocked({ refusal }: Choice): readonly object[] {
    this.#choices.set(0, { calls: 0, finished: true })
    return [
      this.#chunks.delta({ role: 'assistant', content: '', ...(typeof refusal === 'string' && { refusal }) }),
      this.#chunks.delta({}, 'content_filter'),
    ]
  }

  #candidate(candidate: Json, index: number): readonly object[] {
    const begun = this.#choices.get(index)
    const choice = begun ?? { calls: 0, finished: false }
    const made = begun === undefined ? [this.#chunks.delta({ role: 'assistant', content: '' }, null, index)] : []
    this.#choices.set(index, choice)
    for (const part of partsOf(candidate)) made.push(...this.#part(part, choice, index))
    const reason = text(candidate['finishReason'])
    if (reason === undefined || choice.finished) return made
    choice.finished = true
    return [...made, this.#chunks.delta({}, finishOf(reason, choice.calls > 0), index)]
  }

  #part(part: Json, choice: OpenChoice, index: number): readonly object[] {
    const said = text(part['text'])
    if (said !== undefined && said !== '')
      return [this.#chunks.delta(isThought(part) ? { reasoning_content: said } : { content: said }, null, index)]
    const [picture] = pictureOf(part)
    if (picture !== undefined) return [this.#chunks.delta({ images: [imageItem(picture)] }, null, index)]
    return callOf(part, this.#stamps).map((call) => this.#chunks.delta(callBegins(choice.calls++, call), null, index))
  }
}
