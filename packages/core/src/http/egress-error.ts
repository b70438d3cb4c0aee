/**
 * Owns the ways an outbound call can fail. Refuses to carry anything of the call itself: no URL, no address, no header, no body
 * and no underlying error object (undici's parser errors hold raw answer bytes), only a code and a one-word reason.
 */
import { errors } from 'undici'
import { SallyportError } from '../kernel/index.ts'

/** Who failed: `egress_...`, `path_...`, `header_...` and `request_...` are refusals of the door's own, before anything was sent; `upstream_...` is the provider's side. */
export type EgressErrorCode =
  | 'egress_refused'
  | 'upstream_unreachable'
  | 'upstream_timeout'
  | 'upstream_reset'
  | 'upstream_invalid'
  | 'upstream_too_large'
  | 'upstream_tls'
  | 'path_refused'
  | 'header_refused'
  | 'request_too_large'
  | 'client_gone'

const DETAIL: Record<EgressErrorCode, string> = {
  egress_refused: 'The destination is not allowed.',
  upstream_unreachable: 'The provider could not be reached.',
  upstream_timeout: 'The provider did not answer in time.',
  upstream_reset: 'The provider broke off the connection.',
  upstream_invalid: 'The provider gave an answer that is not valid HTTP or not expected here.',
  upstream_too_large: 'The answer of the provider is larger than allowed.',
  upstream_tls: 'The provider could not prove its identity over TLS.',
  path_refused: 'The path is not in a form that can be forwarded safely.',
  header_refused: 'A header is not in a form that can be forwarded safely.',
  request_too_large: 'The request body is larger than allowed.',
  client_gone: 'The caller went away before the call was complete.',
}

/**
 * A failed outbound call. `reason` is one word from our own vocabulary or a system error code (`ECONNREFUSED`), safe to log and
 * bounded enough for a metric. `sent` false proves that no byte of the request left this process, so that it may be repeated
 * whatever its method; true only means that bytes may have left.
 */
export class EgressError extends SallyportError<EgressErrorCode> {
  readonly reason: string
  readonly sent: boolean

  constructor(code: EgressErrorCode, reason: string, sent = false) {
    super(code, `${code}: ${reason}`, { publicDetail: DETAIL[code] })
    this.reason = reason
    this.sent = sent
  }
}

const CODES: Readonly<Record<string, EgressErrorCode>> = {
  UND_ERR_CONNECT_TIMEOUT: 'upstream_timeout',
  UND_ERR_HEADERS_TIMEOUT: 'upstream_timeout',
  UND_ERR_BODY_TIMEOUT: 'upstream_timeout',
  ETIMEDOUT: 'upstream_timeout',
  UND_ERR_SOCKET: 'upstream_reset',
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: 'upstream_reset',
  ECONNRESET: 'upstream_reset',
  ECONNABORTED: 'upstream_reset',
  EPIPE: 'upstream_reset',
  UND_ERR_HEADERS_OVERFLOW: 'upstream_too_large',
  UND_ERR_REQ_CONTENT_LENGTH_MISMATCH: 'client_gone',
  UND_ERR_INVALID_ARG: 'header_refused',
  UND_ERR_NOT_SUPPORTED: 'header_refused',
  UND_ERR_CLOSED: 'upstream_unreachable',
  UND_ERR_DESTROYED: 'upstream_unreachable',
  EPROTO: 'upstream_tls',
}

/** Families of codes, asked when the exact code isn't in the table. OpenSSL and llhttp have too many to list. */
const FAMILIES: readonly (readonly [RegExp, EgressErrorCode])[] = [
  [/^(?:ERR_TLS_|ERR_SSL_|ERR_OSSL_|CERT_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|HOSTNAME_|INVALID_CA|CRL_)/, 'upstream_tls'],
  [/^HPE_/, 'upstream_invalid'],
]

/** The slash is OpenSSL's: `ERR_SSL_SSL/TLS_ALERT_HANDSHAKE_FAILURE`. */
const SAFE_REASON = /^[A-Z][A-Z0-9_/]{1,63}$/

/** Maps any failure of undici, the resolver or TLS to ours by its `code`; nothing else of it is kept. `sent` as in EgressError. */
export function toEgressError(error: unknown, sent: boolean): EgressError {
  if (error instanceof EgressError) return error.sent === sent ? error : new EgressError(error.code, error.reason, sent)
  const reason = codeOf(error)
  const code = CODES[reason] ?? FAMILIES.find(([family]) => family.test(reason))?.[1]
  return new EgressError(code ?? (sent ? 'upstream_reset' : 'upstream_unreachable'), reason, sent)
}

function codeOf(error: unknown): string {
  // Its own code is undefined for most causes, and its `data` holds bytes of the answer.
  if (error instanceof errors.HTTPParserError) return 'HPE_INVALID'
  const first: unknown = error instanceof AggregateError && !hasTextCode(error) ? error.errors[0] : error
  return hasTextCode(first) && SAFE_REASON.test(first.code) ? first.code : 'UNKNOWN'
}

function hasTextCode(value: unknown): value is { readonly code: string } {
  return typeof value === 'object' && value !== null && 'code' in value && typeof value.code === 'string'
}
