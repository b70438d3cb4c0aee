/** Owns how a failure of the gateway is answered on the model routes: in the words of the vendor whose client is calling. Refuses to say more than its problem does. */
import { TranslationError, vendorError } from '@sallyport/core'
import type { Dialect } from '@sallyport/core'
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
    const spoken = vendorError(dialect, { status, code, message: detail ?? `${title}.`, requestId, field: fieldOf(error) })
    const body = Buffer.from(JSON.stringify(spoken.body), 'utf8')
    response.writeHead(status, {
      ...more,
      ...problemHeaders(problem, error, requestId),
      ...spoken.headers,
      'content-type': 'application/json; charset=utf-8',
      'sallyport-error-code': code,
      'content-length': body.length,
    })
    response.end(response.req.method === 'HEAD' ? undefined : body)
    return problem
  }
}

/** What of the request is wrong, where it was read. */
function fieldOf(error: unknown): { readonly param: string | null; readonly reason: string } | undefined {
  return error instanceof AskedError || error instanceof TranslationError ? { param: error.param, reason: error.reason } : undefined
}
