/**
 * Owns the spans of calls that leave this process, by OpenTelemetry's conventions for HTTP clients: named by the method alone, with status and
 * server. Refuses the URL's path (people's names stand in paths), its query, headers and bodies; and spans by others, which would have the URL.
 */
import { failureType } from '../observability/index.ts'
import type { Span, SpanStart, Traces } from '../observability/index.ts'
import { EgressError } from './egress-error.ts'
import type { Egress } from './egress.ts'

/** The same door, looked at. */
export function tracedEgress(egress: Egress, traces: Traces): Egress {
  return {
    fetch: (input, init = {}) =>
      traces.within(started(init.method, String(input)), async (span) => {
        const answer = await told(span, () => traces.unseen(() => egress.fetch(input, init)))
        judged(span, answer.status)
        return answer
      }),
    forward: (call) =>
      traces.within(started(call.method, call.base.origin), async (span) => {
        const result = await told(span, () => traces.unseen(() => egress.forward(call)))
        judged(span, result.status)
        return result
      }),
    close: () => egress.close(),
  }
}

const METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])

function started(method = 'GET', url: string): SpanStart {
  const known = METHODS.has(method.toUpperCase()) ? method.toUpperCase() : undefined
  const attributes = { 'http.request.method': known ?? '_OTHER', ...placeOf(url) }
  return { name: known ?? 'HTTP', kind: 'client', attributes }
}

/** The conventions' `url.full` is left out. Nothing of a URL that is none. */
function placeOf(text: string): SpanStart['attributes'] & object {
  const url = URL.parse(text)
  if (url === null) return {}
  const scheme = url.protocol.slice(0, -1)
  const port = url.port === '' ? (scheme === 'https' ? 443 : 80) : Number(url.port)
  return { 'server.address': url.hostname, 'server.port': port, 'url.scheme': scheme }
}

async function told<T>(span: Span, send: () => Promise<T>): Promise<T> {
  try {
    return await send()
  } catch (error) {
    if (error instanceof EgressError && error.code === 'client_gone') span.set({ 'sallyport.cancelled': true })
    span.fail(failureType(error))
    throw error
  }
}

/** Every status from 400 on is a failure of a client's span. */
function judged(span: Span, status: number): void {
  span.set({ 'http.response.status_code': status })
  if (status >= 400) span.fail(String(status))
}
