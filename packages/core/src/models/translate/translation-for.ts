/**
 * Owns which translation serves which operation at which provider. Refuses an operation that the provider neither has nor can be given by another.
 */
import type { ModelProvider } from '../schema.ts'
import { anthropicAnswer, anthropicStream } from './anthropic-answer.ts'
import { anthropicRequest } from './anthropic.ts'
import { bedrockAnswer, bedrockStream } from './bedrock-answer.ts'
import { bedrockRequest } from './bedrock.ts'
import { machineStamps } from './completion.ts'
import { googleEmbeddings } from './embeddings.ts'
import { geminiAnswer, geminiStream } from './gemini-answer.ts'
import { geminiPath, vertexPath } from './gemini-path.ts'
import { geminiRequest } from './gemini.ts'
import { writable } from './json.ts'
import { native } from './native.ts'
import { responsesOver } from './responses.ts'
import type { CallerAnswer, ModelOperation, Stamps, Translation } from './translation.ts'
import { unsupportedValue } from './translation-error.ts'
import { UNREADABLE, failureAnswer } from './vendor-failure.ts'

/** What a translation is made for. */
export interface TranslationOptions {
  readonly operation: ModelOperation
  /** Of the key that goes out; a path may need them. */
  readonly settings?: Readonly<Record<string, string>>
  readonly stamps?: Stamps
}

/** The translation of one operation for one provider. @throws TranslationError when the provider can't do it. */
export function translationFor(
  provider: ModelProvider,
  { operation, settings = {}, stamps = machineStamps }: TranslationOptions,
): Translation {
  const made = madeFor({ provider, settings, stamps }, operation)
  if (made === undefined) throw unsupportedValue('model', 'The provider of this model does not offer this operation.')
  return {
    ...made,
    answer: (status, json, asked) => writable((): CallerAnswer => made.answer(status, json, asked)) ?? failureAnswer(UNREADABLE),
  }
}

/** What the provider serves itself, what its words can be made of, or responses made of its chat completions. */
function madeFor(place: Place, operation: ModelOperation): Translation | undefined {
  const path = place.provider.paths[operation]
  if (path !== undefined) return native(path, operation === 'chat' ? place.provider.chat : undefined)
  const made = TRANSLATED[place.provider.dialect]?.(place)[operation]
  if (made !== undefined || operation !== 'responses') return made
  const chat = madeFor(place, 'chat')
  return chat === undefined ? undefined : responsesOver(chat, place.stamps)
}

interface Place {
  readonly provider: ModelProvider
  readonly settings: Readonly<Record<string, string>>
  readonly stamps: Stamps
}

type Translations = Readonly<Partial<Record<ModelOperation, Translation>>>

const TRANSLATED: Readonly<Partial<Record<ModelProvider['dialect'], (place: Place) => Translations>>> = {
  anthropic: ({ stamps }) => ({
    chat: {
      native: false,
      request: anthropicRequest,
      answer: (status, json, asked) => anthropicAnswer(status, json, asked, stamps),
      stream: (asked) => anthropicStream(asked, stamps),
    },
  }),
  bedrock: ({ stamps }) => ({
    chat: {
      native: false,
      request: bedrockRequest,
      answer: (status, json, asked) => bedrockAnswer(status, json, asked, stamps),
      stream: (asked) => bedrockStream(asked, stamps),
    },
  }),
  gemini: ({ provider, settings, stamps }) => {
    const vertex = provider.credential === 'google_service_account'
    const pathOf = vertex ? vertexPath(settings) : geminiPath
    return {
      chat: {
        native: false,
        request: (asked) => geminiRequest(asked, pathOf),
        answer: (status, json, asked) => geminiAnswer(status, json, asked, stamps),
        stream: (asked) => geminiStream(asked, stamps),
      },
      embeddings: googleEmbeddings(vertex ? 'vertex' : 'gemini', pathOf),
    }
  },
}
