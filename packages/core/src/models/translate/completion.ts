/**
 * Owns the form of what a caller gets: OpenAI's chat completion in one piece and in chunks, and its usage. Refuses nothing; the vendors' files fill it.
 */
import { randomUUID } from 'node:crypto'
import { fields, text } from './json.ts'
import type { Asked, Stamps } from './translation.ts'

/** Of the machine's clock and random numbers. */
export const machineStamps: Stamps = {
  seconds: () => Math.floor(Date.now() / 1000),
  id: () => randomUUID().replaceAll('-', ''),
}

export type FinishReason = 'stop' | 'length' | 'tool_calls' | 'content_filter'

/** Tokens as vendors count them. */
export interface TokenCounts {
  /** All that went in, what was kept and what was newly kept included. */
  readonly prompt: number
  /** Of `prompt`, read from what was kept. */
  readonly cached: number
  /** Of `prompt`, newly kept; undefined where the vendor says nothing of it. */
  readonly written?: number | undefined
  /** All that came out, reasoning included. */
  readonly completion: number
  /** Of `completion`; undefined where the vendor says nothing of it. */
  readonly reasoning?: number | undefined
}

/** OpenAI's `usage`. */
export function usageOf({ prompt, cached, written, completion, reasoning }: TokenCounts): object {
  return {
    prompt_tokens: prompt,
    completion_tokens: completion,
    total_tokens: prompt + completion,
    prompt_tokens_details: { cached_tokens: cached, ...(written !== undefined && { cache_write_tokens: written }) },
    ...(reasoning !== undefined && { completion_tokens_details: { reasoning_tokens: reasoning } }),
  }
}

/** A call of a tool in OpenAI's words. */
export interface CalledTool {
  readonly id: string
  readonly type: 'function'
  readonly function: { readonly name: string; readonly arguments: string }
  readonly extra_content?: object
}

/** One answer among those that were asked for. */
export interface Choice {
  readonly content: string | null
  readonly reasoning?: string | undefined
  readonly refusal?: string | null
  readonly calls: readonly CalledTool[]
  /** Pictures that a model drew, as `data:` URLs. */
  readonly images?: readonly string[]
  readonly finish: FinishReason
}

/** A picture, as several providers add it to OpenAI's message. */
export function imageItem(url: string): object {
  return { type: 'image_url', image_url: { url } }
}

function messageOf({ content, reasoning, refusal, calls, images = [] }: Choice): object {
  return {
    role: 'assistant',
    content,
    refusal: refusal ?? null,
    ...(reasoning !== undefined && { reasoning_content: reasoning }),
    ...(calls.length > 0 && { tool_calls: calls }),
    ...(images.length > 0 && { images: images.map(imageItem) }),
  }
}

/** A whole answer. `id` and `model` are the vendor's, where it named them. */
export function completion(
  from: { readonly id: string | undefined; readonly model: string | undefined; readonly asked: Asked; readonly stamps: Stamps },
  choices: readonly Choice[],
  counts: TokenCounts,
): object {
  return {
    id: from.id ?? `chatcmpl-${from.stamps.id()}`,
    object: 'chat.completion',
    created: from.stamps.seconds(),
    model: from.model ?? text(from.asked['model']) ?? '',
    choices: choices.map((choice, index) => ({ index, message: messageOf(choice), logprobs: null, finish_reason: choice.finish })),
    usage: usageOf(counts),
  }
}

/** Writes the chunks of one streamed answer: all of one id, one model and one time. */
export class Chunks {
  readonly #withUsage: boolean
  readonly #created: number
  #id: string
  #model: string

  constructor(asked: Asked, stamps: Stamps) {
    this.#withUsage = fields(asked['stream_options'])['include_usage'] === true
    this.#created = stamps.seconds()
    this.#id = `chatcmpl-${stamps.id()}`
    this.#model = text(asked['model']) ?? ''
  }

  /** What the vendor calls the answer and the model, before the first chunk. */
  named(id: string | undefined, model: string | undefined): void {
    if (id !== undefined) this.#id = id
    if (model !== undefined) this.#model = model
  }

  delta(delta: object, finish: FinishReason | null = null, index = 0): object {
    return {
      id: this.#id,
      object: 'chat.completion.chunk',
      created: this.#created,
      model: this.#model,
      choices: [{ index, delta, logprobs: null, finish_reason: finish }],
      ...(this.#withUsage && { usage: null }),
    }
  }

  /** The chunk after the last choice; none where the caller did not ask for it. */
  usage(counts: TokenCounts): readonly object[] {
    if (!this.#withUsage) return []
    return [
      { id: this.#id, object: 'chat.completion.chunk', created: this.#created, model: this.#model, choices: [], usage: usageOf(counts) },
    ]
  }
}

/** The first chunk of a call: its name and id, with arguments to follow. */
export function callBegins(index: number, call: CalledTool): object {
  return { tool_calls: [{ index, ...call }] }
}

/** More of the arguments of a call. */
export function callGoesOn(index: number, fragment: string): object {
  return { tool_calls: [{ index, function: { arguments: fragment } }] }
}
