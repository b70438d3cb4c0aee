/**
 * Owns Vertex AI's API as its reference describes it, of Google's own models in a project and location: generateContent, streamGenerateContent, countTokens
 * and predict of embeddings, behind an access token. https://docs.cloud.google.com/vertex-ai/generative-ai/docs/reference/rest
 */
import { asked, generatedAtVertex, refusalOf } from './gemini.ts'
import { embedding, wordsOf } from './mind.ts'
import { fields, flag, listOf, number, oneOf, text } from './shapes.ts'
import { bearer, json, listIn, recordOf, sentKeyFault } from './vendor.ts'
import type { Answer, Fields, Refusal, Vendor } from './vendor.ts'

const METHOD =
  /^\/(?:v1|v1beta1)\/projects\/(?<project>[a-z][a-z0-9-]+)\/locations\/(?<location>[a-z0-9-]+)\/publishers\/google\/models\/(?<model>[^/:]+):(?<method>\w+)$/u

const TASKS = [
  'RETRIEVAL_QUERY',
  'RETRIEVAL_DOCUMENT',
  'SEMANTIC_SIMILARITY',
  'CLASSIFICATION',
  'CLUSTERING',
  'QUESTION_ANSWERING',
  'FACT_VERIFICATION',
  'CODE_RETRIEVAL_QUERY',
]
const predictShape = fields(
  { instances: listOf(fields({ content: text }, { task_type: oneOf(...TASKS), title: text }), 1) },
  { parameters: fields({}, { autoTruncate: flag, outputDimensionality: number(1, 3072) }) },
)

export const vertex: Vendor = {
  // No API key: neither in `x-goog-api-key` nor in the query.
  keyFault: (call, key) => sentKeyFault(bearer(call), key),
  refuse,
  answer(call, models) {
    const { model: escaped = '', method } = METHOD.exec(call.path)?.groups ?? {}
    if (call.method !== 'POST' || method === undefined) return { why: 'not found' }
    const model = decodeURIComponent(escaped)
    if (method === 'predict') return asked(call, predictShape, model, models.embedding, predicted)
    return generatedAtVertex(call, model, method, models) ?? { why: 'not found' }
  },
}

function predicted(body: Fields): Answer {
  const dimensions = (recordOf(body['parameters'])['outputDimensionality'] as number | undefined) ?? 8
  const predictions = listIn(body['instances']).map(({ content }) => ({
    embeddings: {
      values: embedding(String(content), dimensions),
      statistics: { truncated: false, token_count: wordsOf(String(content)).length },
    },
  }))
  return json(200, { predictions, metadata: { billableCharacterCount: 1 } })
}

function refuse(refusal: Refusal): Answer {
  if (refusal.why !== 'no key' && refusal.why !== 'wrong key') return refusalOf(refusal)
  const reason = refusal.why === 'no key' ? 'CREDENTIALS_MISSING' : 'ACCESS_TOKEN_TYPE_UNSUPPORTED'
  const details = [{ '@type': 'type.googleapis.com/google.rpc.ErrorInfo', reason, domain: 'googleapis.com' }]
  const message = 'Request had invalid authentication credentials.'
  return json(401, { error: { code: 401, message, status: 'UNAUTHENTICATED', details } })
}
