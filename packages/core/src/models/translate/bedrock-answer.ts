/**
 * Owns reading Converse's answers, in one piece and streamed, by putting them into Anthropic's form, of which they say the same by other names. Refuses
 * to throw at anything that a vendor could send.
 */
import { awsEventStream } from '../aws-event-stream.ts'
import type { AwsMessage } from '../aws-event-stream.ts'
import { MessageEvents, anthropicAnswer } from './anthropic-answer.ts'
import { Chunks } from './completion.ts'
import { eventAnswer } from './event-answer.ts'
import type { FramedEvent, Framing, VendorEvents } from './event-answer.ts'
import { fields, objects, text } from './json.ts'
import type { Json } from './json.ts'
import type { AnswerStream, Asked, CallerAnswer, Stamps } from './translation.ts'
import { failure, failureAnswer } from './vendor-failure.ts'
import type { VendorFailure } from './vendor-failure.ts'

/** What was held back, by the model's makers or by a guardrail, or because it was malformed. */
const WITHHELD: readonly unknown[] = ['content_filtered', 'guardrail_intervened', 'malformed_model_output', 'malformed_tool_use']

/** The others are called as Anthropic calls them. */
function stopOf(reason: unknown): unknown {
  return WITHHELD.includes(reason) ? 'refusal' : reason
}

function usageOf(usage: Json): Json {
  return {
    input_tokens: usage['inputTokens'],
    cache_read_input_tokens: usage['cacheReadInputTokens'],
    cache_creation_input_tokens: usage['cacheWriteInputTokens'],
    output_tokens: usage['outputTokens'],
  }
}

const messageOf = (json: unknown): string | undefined => text(fields(json)['message']) ?? text(fields(json)['Message'])

/** Of Converse. */
export function bedrockAnswer(status: number, json: unknown, asked: Asked, stamps: Stamps): CallerAnswer {
  if (status !== 200) return failureAnswer(failure(status, messageOf(json)))
  const answer = fields(json)
  const content = fields(fields(answer['output'])['message'])['content']
  const blocks = Array.isArray(content) ? { content: objects(content).map(blockOf) } : {}
  return anthropicAnswer(
    200,
    { ...blocks, stop_reason: stopOf(answer['stopReason']), usage: usageOf(fields(answer['usage'])) },
    asked,
    stamps,
  )
}

function blockOf(block: Json): Json {
  const { toolUseId: id, name, input } = fields(block['toolUse'])
  if ('toolUse' in block) return { type: 'tool_use', id, name, input }
  if ('reasoningContent' in block) return { type: 'thinking', thinking: fields(fields(block['reasoningContent'])['reasoningText'])['text'] }
  return 'text' in block ? { type: 'text', text: block['text'] } : {}
}

/** Of ConverseStream. */
export function bedrockStream(asked: Asked, stamps: Stamps): AnswerStream {
  return eventAnswer(frames(), new ConverseEvents(new MessageEvents(new Chunks(asked, stamps))))
}

function frames(): Framing {
  const stream = awsEventStream()
  return { push: (bytes) => stream.push(bytes).map(framed) }
}

/** A failure is a message of another kind, whose name ends alike; one without a payload tells about itself in its headers. */
function framed({ headers, payload }: AwsMessage): FramedEvent {
  if (headers[':message-type'] === 'error')
    return { event: 'Exception', data: JSON.stringify({ message: headers[':error-message'] ?? '' }) }
  return { event: headers[':exception-type'] ?? headers[':event-type'], data: payload.toString('utf8') }
}

/** What each failure would have been as a status. A model that failed is no fault of the caller's. */
const STATUS: Readonly<Record<string, number>> = {
  validationException: 400,
  modelTimeoutException: 504,
  throttlingException: 429,
  modelStreamErrorException: 502,
  internalServerException: 500,
  serviceUnavailableException: 503,
}

class ConverseEvents implements VendorEvents {
  readonly #events: MessageEvents

  constructor(events: MessageEvents) {
    this.#events = events
  }

  read(event: Json, name = ''): readonly object[] | VendorFailure {
    if (name.endsWith('Exception')) return failure(Object.hasOwn(STATUS, name) ? STATUS[name]! : 500, messageOf(event))
    const index = event['contentBlockIndex']
    switch (name) {
      case 'messageStart':
        return this.#events.read({ type: 'message_start' })
      case 'contentBlockStart':
        return this.#events.read({ type: 'content_block_start', index, content_block: blockOf(fields(event['start'])) })
      case 'contentBlockDelta':
        return this.#events.read({ type: 'content_block_delta', index, delta: deltaOf(fields(event['delta'])) })
      case 'contentBlockStop':
        return this.#events.read({ type: 'content_block_stop', index })
      case 'messageStop':
        this.#events.read({ type: 'message_stop' })
        return this.#events.read({ type: 'message_delta', delta: { stop_reason: stopOf(event['stopReason']) ?? 'end_turn' } })
      case 'metadata':
        return this.#events.read({ type: 'message_delta', usage: usageOf(fields(event['usage'])) })
      default:
        return []
    }
  }

  finish(): readonly object[] | undefined {
    return this.#events.finish()
  }
}

function deltaOf(delta: Json): Json {
  if ('toolUse' in delta) return { partial_json: fields(delta['toolUse'])['input'] }
  return { text: delta['text'], thinking: fields(delta['reasoningContent'])['text'] }
}
