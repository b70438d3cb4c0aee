/**
 * Owns the translation that is none: of providers that serve OpenAI's own API, at a path of theirs. Refuses nothing; the provider does. Its answers
 * need no reading, but whoever reads them all the same gets them as they are.
 */
import { eventStream } from '../event-stream.ts'
import type { ModelProvider } from '../schema.ts'
import { eventAnswer } from './event-answer.ts'
import { isObject } from './json.ts'
import type { Json } from './json.ts'
import type { AnswerStream, Asked, Translation } from './translation.ts'
import { asksNothing } from './unspoken.ts'
import { UNREADABLE, failureAnswer, failureOf } from './vendor-failure.ts'

/** Where a provider's requests differ from OpenAI's; see its record. */
type Differences = NonNullable<ModelProvider['chat']>

/** `path`: where the operation's requests are taken, below the provider's base. */
export function native(path: string, differences?: Differences): Translation {
  return {
    native: true,
    request: (asked) => ({ path, body: differences === undefined ? asked : inItsWords(asked, differences), headers: {} }),
    answer: (status, json) =>
      isObject(json) && (status === 200 || isOwnError(status, json)) ? { status, body: json } : failed(status, json),
    stream: () => passedOn(),
  }
}

/** Asked for or not, the usage comes with a stream's last chunk where `stream_options` is unknown. */
const ANYWAY = 'stream_options'

/** A field under both names stays as it is: the provider may judge that. */
function inItsWords(asked: Asked, { renames, lacks, handedBack }: Differences): object {
  const said = Object.entries(asked).filter(([param, value]) => !lacks.includes(param) || (param !== ANYWAY && !asksNothing(param, value)))
  return Object.fromEntries(
    said.map(([param, value]) => {
      const own = Object.hasOwn(renames, param) ? renames[param]! : param
      return [Object.hasOwn(asked, own) ? param : own, param === 'messages' ? without(handedBack, value) : value]
    }),
  )
}

/** Messages, and the calls in them, without what other vendors put there. Anything else is the provider's to judge. */
function without(handedBack: readonly string[], messages: unknown): unknown {
  if (handedBack.length === 0 || !Array.isArray(messages)) return messages
  return messages.map((message: unknown) => {
    if (!isObject(message) || message['role'] !== 'assistant') return message
    const { tool_calls: calls } = message
    const left = Array.isArray(calls) && { tool_calls: calls.map((call: unknown) => (isObject(call) ? bare(handedBack, call) : call)) }
    return { ...bare(handedBack, message), ...left }
  })
}

function bare(handedBack: readonly string[], value: Json): Json {
  return Object.fromEntries(Object.entries(value).filter(([name]) => !handedBack.includes(name)))
}

const isOwnError = (status: number, json: Json): boolean => status >= 400 && status <= 599 && isObject(json['error'])
const failed = (status: number, json: unknown) => failureAnswer(status === 200 ? UNREADABLE : failureOf(status, json))

const ENDS: readonly unknown[] = ['response.completed', 'response.incomplete', 'response.failed']

/** `[DONE]` is no JSON, so it is taken off before the events are read. */
function passedOn(): AnswerStream {
  const framing = eventStream()
  let ended = false
  return eventAnswer(
    { push: (bytes) => framing.push(bytes).filter(({ data }) => !(data === '[DONE]' && (ended = true))) },
    {
      read(event: Json) {
        if (isObject(event['error']) && !('type' in event)) return failureOf(500, event)
        if (ENDS.includes(event['type'])) ended = true
        return [event]
      },
      finish: () => (ended ? [] : undefined),
    },
  )
}
