/**
 * Owns Azure OpenAI's API as its inference description has it: OpenAI's operations at a deployment, where every address names an API version, and at
 * `/openai/v1`, where none does. https://github.com/Azure/azure-rest-api-specs (cognitiveservices, AzureOpenAI, inference)
 */
import { operations, refusalOf } from './openai.ts'
import { bearer, header, json, sentKeyFault } from './vendor.ts'
import type { Answer, Call, Fields, Models, Refusal, Vendor } from './vendor.ts'

/** Below a deployment's name, which stands for the model. */
const DEPLOYMENT = /^\/openai\/deployments\/(?<deployment>[^/]+)\/(?<operation>chat\/completions|embeddings|audio\/transcriptions)$/u
const PLAIN = /^\/openai\/v1\/(?<operation>chat\/completions|embeddings|responses|models)$/u
const VERSION = /^\d{4}-\d{2}-\d{2}(?:-preview)?$/u

export const azure: Vendor = {
  // A bearer token is Entra's at a deployment; at `/openai/v1` OpenAI's own client shows the key as one.
  keyFault: (call, key) => sentKeyFault(header(call, 'api-key') ?? (call.path.includes('/deployments/') ? undefined : bearer(call)), key),
  refuse,
  answer(call, models) {
    const plain = PLAIN.exec(call.path)?.groups?.['operation']
    if (plain !== undefined) return isOfNoVersion(call) ? atRoot(call, plain, models) : { why: 'not found' }
    const { deployment, operation } = DEPLOYMENT.exec(call.path)?.groups ?? {}
    if (call.method !== 'POST' || deployment === undefined || !VERSION.test(call.query.get('api-version') ?? ''))
      return { why: 'not found' }
    const named = decodeURIComponent(deployment)
    if (![...models.chat, ...models.embedding, ...models.audio].includes(named)) return { why: 'no model', model: named }
    return atDeployment(ofDeployment(call, named), operation!, models)
  },
}

function isOfNoVersion({ query }: Call): boolean {
  return [null, 'v1', 'preview'].includes(query.get('api-version'))
}

function atRoot(call: Call, operation: string, models: Models): Answer | Refusal {
  if (operation === 'models') return call.method === 'GET' ? operations.models(models) : { why: 'not found' }
  if (call.method !== 'POST') return { why: 'not found' }
  if (operation === 'responses') return operations.responses(call, models)
  return operation === 'embeddings' ? operations.embeddings(call, models) : filtered(operations.chat(call, models))
}

function atDeployment(call: Call, operation: string, models: Models): Answer | Refusal {
  if (operation === 'chat/completions') return filtered(operations.chat(call, models))
  return operation === 'embeddings' ? operations.embeddings(call, models) : operations.transcriptions(call, models)
}

/** The deployment is the model, whatever the body says or leaves out. */
function ofDeployment(call: Call, model: string): Call {
  const { body } = call
  if (body.kind !== 'json' || typeof body.value !== 'object' || body.value === null || Array.isArray(body.value)) return call
  return { ...call, body: { ...body, value: { ...(body.value as Fields), model } } }
}

const SAFE = { hate: { filtered: false, severity: 'safe' }, violence: { filtered: false, severity: 'safe' } }
const PROMPT = { prompt_filter_results: [{ prompt_index: 0, content_filter_results: SAFE }] }

/** What was found of the prompt stands beside the answer, and before a stream in a chunk without choices. */
function filtered(answer: Answer | Refusal): Answer | Refusal {
  if ('why' in answer || answer.status !== 200) return answer
  if (answer.pieces === undefined) return { ...answer, body: JSON.stringify({ ...(JSON.parse(answer.body!) as object), ...PROMPT }) }
  const first = { id: '', object: '', created: 0, model: '', choices: [], ...PROMPT }
  return { ...answer, pieces: [`data: ${JSON.stringify(first)}\n\n`, ...answer.pieces] }
}

function refuse(refusal: Refusal): Answer {
  const error = (status: number, code: string, message: string): Answer => json(status, { error: { code, message } })
  switch (refusal.why) {
    case 'no key':
    case 'wrong key':
      return error(401, '401', 'Access denied due to invalid subscription key or wrong API endpoint.')
    case 'not found':
      return error(404, '404', 'Resource not found')
    case 'no model':
      return error(404, 'DeploymentNotFound', 'The API deployment for this resource does not exist.')
    default:
      return refusalOf(refusal)
  }
}
