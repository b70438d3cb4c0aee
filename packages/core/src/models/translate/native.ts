/**
 * Owns the translation that is none: of providers that serve OpenAI's own API, at a path of theirs. Refuses nothing; the provider does. Its answers
 * need no reading, but whoever reads them all the same gets them as they are.
 */
import { eventStream } from '../event-stream.ts'
import { eventAnswer } from './event-answer.ts'
import { isObject } from './json.ts'
import type { Json } from './json.ts'
import type { AnswerStream, Translation } from './translation.ts'
import { UNREADABLE, failureAnswer, failureOf } from './vendor-failure.ts'

/** `path`: where the operation's requests are taken, below the provider's base. */
export function native(path: string): Translation {
  return {
    native: true,
    request: (asked) => ({ path, body: asked, headers: {} }),
    answer: (status, json) =>
      isObject(json) && (status === 200 || isOwnError(status, json)) ? { status, body: json } : failed(status, json),
    stream: () => passedOn(),
  }
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
