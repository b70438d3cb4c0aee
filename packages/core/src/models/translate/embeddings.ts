/**
 * Owns OpenAI's embeddings in Google's words: batchEmbedContents at Gemini's API, predict at Vertex AI. Refuses lists of tokens, which mean something to
 * one vendor's models alone. https://ai.google.dev/api/embeddings
 */
import { z } from 'zod'
import { eventStream } from '../event-stream.ts'
import { read } from './asked.ts'
import { eventAnswer } from './event-answer.ts'
import type { ModelPath } from './gemini.ts'
import { failureOf } from './gemini-answer.ts'
import { count, fields, objects, text } from './json.ts'
import type { Json } from './json.ts'
import type { Asked, CallerAnswer, Translation } from './translation.ts'
import { UNREADABLE, failureAnswer } from './vendor-failure.ts'

const embeddings = z.strictObject({
  model: z.string().min(1),
  input: z.preprocess((input) => (typeof input === 'string' ? [input] : input), z.array(z.string().min(1)).min(1).max(2048)),
  encoding_format: z.enum(['float', 'base64']).nullish(),
  dimensions: z.number().int().min(1).nullish(),
  /** About abuse at OpenAI; says nothing to others. */
  user: z.string().nullish(),
})

/** One way of asking for embeddings, and of reading them. */
interface Words {
  body(inputs: readonly string[], dimensions: object, model: string): object
  readonly method: string
  /** Each embedding, as what it was read from. */
  vectors(answer: Json): readonly unknown[]
  tokens(answer: Json): number
}

/** `outputDimensionality` is what both call it. */
const WORDS = {
  gemini: {
    method: 'batchEmbedContents',
    body: (inputs, dimensions, model) => ({
      requests: inputs.map((input) => ({ model, content: { parts: [{ text: input }] }, ...dimensions })),
    }),
    vectors: (answer) => objects(answer['embeddings']).map(({ values }) => values),
    tokens: (answer) => count(fields(answer['usageMetadata'])['promptTokenCount']),
  },
  vertex: {
    method: 'predict',
    body: (inputs, dimensions) => ({ instances: inputs.map((content) => ({ content })), parameters: dimensions }),
    vectors: (answer) => objects(answer['predictions']).map((prediction) => fields(prediction['embeddings'])['values']),
    tokens: (answer) =>
      objects(answer['predictions']).reduce((sum, one) => sum + count(fields(fields(one['embeddings'])['statistics'])['token_count']), 0),
  },
} satisfies Record<string, Words>

/** Embeddings at one of Google's two. The vendor counts tokens at Vertex AI; at Gemini's API the usage may be 0. */
export function googleEmbeddings(at: keyof typeof WORDS, pathOf: ModelPath): Translation {
  const words: Words = WORDS[at]
  return {
    native: false,
    request(asked) {
      const { model, input, dimensions } = read(embeddings, asked)
      const path = pathOf(model)
      const wanted = typeof dimensions === 'number' ? { outputDimensionality: dimensions } : {}
      return { path: `${path}:${words.method}`, headers: {}, body: words.body(input, wanted, path.replace(/^\/v1beta\//u, '')) }
    },
    answer: (status, json, asked) => answered(words, status, json, asked),
    // There is no such stream: whatever comes is no answer.
    stream: () => eventAnswer(eventStream(), { read: () => UNREADABLE, finish: () => undefined }),
  }
}

function answered(words: Words, status: number, json: unknown, asked: Asked): CallerAnswer {
  if (status !== 200) return failureAnswer(failureOf(status, json))
  const answer = fields(json)
  const vectors = words.vectors(answer)
  const wanted = Array.isArray(asked['input']) ? asked['input'].length : 1
  if (vectors.length !== wanted || !vectors.every(isVector)) return failureAnswer(UNREADABLE)
  const tokens = words.tokens(answer)
  const encode = asked['encoding_format'] === 'base64' ? base64 : (vector: readonly number[]) => vector
  return {
    status,
    body: {
      object: 'list',
      data: vectors.map((vector, index) => ({ object: 'embedding', index, embedding: encode(vector) })),
      model: text(asked['model']) ?? '',
      usage: { prompt_tokens: tokens, total_tokens: tokens },
    },
  }
}

const isVector = (value: unknown): value is readonly number[] => Array.isArray(value) && value.every((one) => typeof one === 'number')

/** As OpenAI has it: 32-bit floats, the lowest byte first. */
function base64(vector: readonly number[]): string {
  const bytes = Buffer.alloc(vector.length * 4)
  vector.forEach((value, at) => bytes.writeFloatLE(value, at * 4))
  return bytes.toString('base64')
}
