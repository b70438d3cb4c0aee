/**
 * Owns reading a request of `/v1/`: which operation, what is asked, and which model or route is meant. Refuses what is none of OpenAI's requests before
 * anything is looked up, in words that repeat nothing of it but names of fields.
 */
import type { IncomingMessage } from 'node:http'
import type { ProblemCode } from '@sallyport/contract'
import { SallyportError } from '@sallyport/core'
import type { Asked, ModelOperation } from '@sallyport/core'
import { excessOf } from './json-shape.ts'

/** What is wrong, as OpenAI's error says it. */
export class AskedError extends SallyportError<AskedErrorCode> {
  /** The field at fault. */
  readonly param: string | null
  /** OpenAI's own `code`. */
  readonly reason: string

  constructor(code: AskedErrorCode, explanation: string, { param = null, reason = code }: { param?: string | null; reason?: string } = {}) {
    super(code, explanation, { publicDetail: explanation })
    this.param = param
    this.reason = reason
  }
}
type AskedErrorCode = Extract<ProblemCode, 'bad_request' | 'not_found' | 'method_not_allowed' | 'unsupported_media_type'>

const PREFIX = '/v1/'
const OPERATIONS: Readonly<Record<string, ModelOperation>> = {
  '/v1/chat/completions': 'chat',
  '/v1/responses': 'responses',
  '/v1/embeddings': 'embeddings',
}
const MODELS = '/v1/models'

export const isCompatibleUrl = (url: string): boolean => url.startsWith(PREFIX)

/** What a request of `/v1/` is for: an operation; or the list of models, or one of it. */
export type Wanted =
  | { readonly operation: ModelOperation; readonly path: string }
  | { readonly model: string | undefined; readonly path: string }

/** @throws AskedError `not_found`, `method_not_allowed` */
export function wantedBy(method: string, url: string): Wanted {
  const path = url.split('?', 1)[0]!
  const operation = OPERATIONS[path]
  if (operation !== undefined) {
    requireMethod(method, 'POST')
    return { operation, path }
  }
  const model = modelIn(path)
  if (path !== MODELS && model === undefined) throw new AskedError('not_found', `There is no ${shown(path)} here. ${WHAT_THERE_IS}`)
  requireMethod(method, 'GET')
  return { model, path: MODELS }
}

const WHAT_THERE_IS =
  'POST /v1/chat/completions, /v1/responses and /v1/embeddings, GET /v1/models; all else a provider offers is below /llm/{provider}/.'

/** A path could hold a key that went astray, or text that turns around what stands beside it. */
function shown(path: string): string {
  return /^[\w/-]{1,60}$/u.test(path) ? path : 'such path'
}

/** A name holds a slash, which clients encode or don't. */
function modelIn(path: string): string | undefined {
  if (!path.startsWith(`${MODELS}/`)) return undefined
  try {
    return decodeURIComponent(path.slice(MODELS.length + 1)) || undefined
  } catch {
    return undefined
  }
}

function requireMethod(method: string, taken: 'GET' | 'POST'): void {
  if (method !== taken) throw new AskedError('method_not_allowed', `This path takes ${taken}.`)
}

/** @throws AskedError `unsupported_media_type` for what is declared as anything but JSON, or is encoded */
export function requireJson(headers: IncomingMessage['headers']): void {
  const type = headers['content-type']?.split(';', 1)[0]!.trim().toLowerCase()
  const coding = headers['content-encoding']
  if (type !== 'application/json' || (coding !== undefined && coding.toLowerCase() !== 'identity'))
    throw new AskedError('unsupported_media_type', 'Send the body as application/json, without a content-encoding.')
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** A JSON object whose `model` is a text. @throws AskedError `bad_request` */
export function readAsked(body: Buffer): Asked & { readonly model: string } {
  const asked = parsed(body)
  if (typeof asked !== 'object' || asked === null || Array.isArray(asked))
    throw new AskedError('bad_request', 'The body must be a JSON object.')
  const { model } = asked as { model?: unknown }
  if (model === undefined) {
    throw new AskedError('bad_request', 'Missing required parameter: model. Name a route, or a model as provider/model.', {
      param: 'model',
      reason: 'missing_required_parameter',
    })
  }
  if (typeof model !== 'string') throw new AskedError('bad_request', 'model must be a text.', { param: 'model', reason: 'invalid_type' })
  const { stream } = asked as { stream?: unknown }
  if (stream !== undefined && stream !== null && typeof stream !== 'boolean')
    throw new AskedError('bad_request', 'stream must be true or false.', { param: 'stream', reason: 'invalid_type' })
  return asked as Asked & { readonly model: string }
}

function parsed(body: Buffer): unknown {
  const excess = excessOf(body)
  if (excess !== undefined) throw new AskedError('bad_request', `The body ${excess}.`, { reason: 'invalid_json' })
  try {
    return JSON.parse(utf8.decode(body))
  } catch {
    // Its message would quote the text.
    throw new AskedError('bad_request', 'The body is not valid JSON.', { reason: 'invalid_json' })
  }
}

/** `provider/model`, or undefined for what can only be a route's name. The model may hold further slashes. */
export function splitModel(model: string): { readonly provider: string; readonly model: string } | undefined {
  const slash = model.indexOf('/')
  return slash < 0 ? undefined : { provider: model.slice(0, slash), model: model.slice(slash + 1) }
}

/** The one answer for models, providers and routes that are not there. */
export function unknownModel(): AskedError {
  return new AskedError(
    'not_found',
    'There is no such model or route here. Name a route of this environment, or a model as provider/model.',
    {
      param: 'model',
      reason: 'model_not_found',
    },
  )
}
