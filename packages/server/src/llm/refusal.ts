/** Owns how a failure of the gateway is answered on the model routes: in the words of the vendor whose client is calling. Refuses to say more than its problem does. */
import { TranslationError, vendorError } from '@sallyport/core'
import type { Dialect } from '@sallyport/core'
import type { Problem, ProblemCode } from '@sallyport/contract'
import { problemFor, problemHeaders } from '../http/index.ts'
import type { Refusal } from '../proxy/index.ts'
import { AskedError } from './compatible-request.ts'

/** As `sendProblem`, in the words of `dialect`. `sallyport-error-code` says the code where the vendor's own form has no place for it. */
export function refusalIn(dialect: Dialect): Refusal {
  return (response, error, requestId, more) => {
    const problem = problemFor(error, requestId)
    if (response.headersSent) {
      response.destroy()
      return problem
    }
    const { status, code, detail, title } = problem
    const headers = problemHeaders(problem, error, requestId)
    const message = detail ?? `${title}.`
    const again = isWorthAnotherTry(problem, headers['retry-after'])
    const spoken = vendorError(dialect, { status, code, message, requestId, field: fieldOf(error), again })
    const body = Buffer.from(JSON.stringify(spoken.body), 'utf8')
    response.writeHead(status, {
      ...more,
      ...headers,
      ...spoken.headers,
      'content-type': 'application/json; charset=utf-8',
      'sallyport-error-code': code,
      'content-length': body.length,
    })
    response.end(response.req.method === 'HEAD' ? undefined : body)
    return problem
  }
}

/** What stays as it is, though its status says that the provider's side failed. */
const LASTING: ReadonlySet<ProblemCode> = new Set(['upstream_tls', 'upstream_too_large'])
/** Clients of vendors wait no longer than a minute for a further try: told of more they come at once, and in vain. */
const LONGEST_WAIT_S = 60

/** Whether the same request may fare better when a client sends it again by itself, as soon as clients do. */
export function isWorthAnotherTry({ status, code }: Pick<Problem, 'status' | 'code'>, retryAfterS: string | undefined): boolean {
  if (status < 500 && status !== 408 && status !== 429) return false
  return !LASTING.has(code) && Number(retryAfterS ?? 0) <= LONGEST_WAIT_S
}

/** What of the request is wrong, where it was read. */
function fieldOf(error: unknown): { readonly param: string | null; readonly reason: string } | undefined {
  return error instanceof AskedError || error instanceof TranslationError ? { param: error.param, reason: error.reason } : undefined
}
