/**
 * Owns OpenAI's error shape for what went wrong at a vendor: its own error, an answer that is none, a stream that was cut. Refuses a status that
 * OpenAI's clients would take for success.
 */
import { fields, text } from './json.ts'
import type { CallerAnswer, StreamFailure } from './translation.ts'

/** A vendor's error, read from its own shape. */
export interface VendorFailure extends StreamFailure {
  readonly message: string
  readonly type: string
}

/** Anthropic's number for an overload, which is nobody else's. */
const OVERLOADED = 529

const TYPES: Readonly<Record<number, string>> = {
  401: 'authentication_error',
  403: 'permission_error',
  404: 'not_found_error',
  429: 'rate_limit_error',
}
const CODES: Readonly<Record<number, string>> = {
  401: 'invalid_api_key',
  404: 'model_not_found',
  413: 'request_too_large',
  429: 'rate_limit_exceeded',
  503: 'overloaded',
}

/** A failure by its status alone, with the vendor's own message where it had one. `code` is the vendor's where OpenAI has none for the status. */
export function failure(status: number, message: string | undefined, code?: string): VendorFailure {
  const known = status === OVERLOADED ? 503 : status
  const plain = known >= 400 && known <= 599 ? known : 502
  return {
    status: plain,
    message: message ?? 'The provider answered with an error of no known form.',
    type: TYPES[plain] ?? (plain >= 500 ? 'server_error' : 'invalid_request_error'),
    code: CODES[plain] ?? code ?? null,
  }
}

/** Of those that are listed, so many are said. */
const MOST_FAULTS = 8

/** An answer of status 200 that is none. */
export const UNREADABLE: VendorFailure = {
  status: 502,
  message: 'The provider’s answer could not be read.',
  type: 'server_error',
  code: 'upstream_invalid',
}

/** A stream that ended before its answer did. */
export const CUT: VendorFailure = {
  status: 502,
  message: 'The provider’s answer ended in the middle.',
  type: 'server_error',
  code: 'upstream_reset',
}

/** In OpenAI's shape, as a body or as an event. */
export function failureBody({ message, type, code }: VendorFailure): object {
  return { error: { message, type, param: null, code } }
}

export function failureAnswer(failed: VendorFailure): CallerAnswer {
  return { status: failed.status, body: failureBody(failed) }
}

/** Of OpenAI's own shape, or any that resembles it: `{error: {message, code?}}`, `{message}`, `{error}`, `{detail}`. */
export function failureOf(status: number, json: unknown): VendorFailure {
  const body = fields(Array.isArray(json) ? json[0] : json)
  const error = fields(body['error'])
  const message = text(error['message']) ?? text(body['message']) ?? text(body['error']) ?? detailOf(body['detail'])
  return failure(status, message, text(error['code']) ?? text(error['type']))
}

/** A sentence, or a list of what is wrong with which field, as frameworks for Python write it. */
function detailOf(detail: unknown): string | undefined {
  if (!Array.isArray(detail)) return text(detail)
  const faults = detail.slice(0, MOST_FAULTS).map((one) => {
    const { loc, msg } = fields(one)
    const at = Array.isArray(loc) ? loc.filter((step) => ['string', 'number'].includes(typeof step)).join('.') : ''
    return [at, text(msg)].filter((part) => part !== undefined && part !== '').join(': ')
  })
  const said = faults.filter((fault) => fault !== '')
  return said.length === 0 ? undefined : said.join('; ')
}
