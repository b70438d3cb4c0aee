/** Owns what vendors do on bad days, as answers in their stead. */
import { setTimeout as pause } from 'node:timers/promises'
import type { ServerResponse } from 'node:http'
import type { Instead } from './upstream.ts'

/** Of each client's calls to one address the first `times` have this status and these headers, in the vendor's own form; the rest are the vendor's. */
export function statusThenVendor(status: number, times: number, headers: Readonly<Record<string, string>> = {}): Instead {
  const counts = new Map<string, number>()
  return (request, response) => {
    const caller = `${request.headers['user-agent'] ?? ''} ${request.url ?? ''}`
    const count = (counts.get(caller) ?? 0) + 1
    counts.set(caller, count)
    if (count > times) return false
    request.resume()
    const body = JSON.stringify(errorOf(request.url ?? '', status))
    const type = status === 429 ? 'ThrottlingException' : 'InternalServerException'
    response.writeHead(status, { 'content-type': 'application/json', 'x-amzn-errortype': type, ...headers }).end(body)
    return true
  }
}

function errorOf(url: string, status: number): object {
  const message = 'not now'
  if (url.startsWith('/anthropic/')) return { type: 'error', error: { type: status === 429 ? 'rate_limit_error' : 'api_error', message } }
  if (url.startsWith('/gemini/')) return { error: { code: status, message, status: status === 429 ? 'RESOURCE_EXHAUSTED' : 'INTERNAL' } }
  if (url.startsWith('/bedrock/')) return { message }
  return { error: { message, type: status === 429 ? 'rate_limit_exceeded' : 'server_error', param: null, code: null } }
}

/** Chat completions' chunks, one every `everyMs`, until the caller goes. Never a last one. */
export function endlessStream(everyMs = 10): Instead {
  return (request, response) => {
    request.resume()
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    void write(response, everyMs)
    return true
  }
}

/** The head of a stream and `chunks` of it, and then the connection is gone. */
export function cutStream(chunks: number): Instead {
  return (request, response) => {
    request.resume()
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    for (let number = 0; number < chunks; number++) response.write(chunk(`${number} `))
    // What was written is on its way before the end is.
    setImmediate(() => response.destroy())
    return true
  }
}

async function write(response: ServerResponse, everyMs: number): Promise<void> {
  for (let number = 0; !response.destroyed; number++) {
    response.write(chunk(`${number} `))
    await pause(everyMs)
  }
}

function chunk(content: string): string {
  const choices = [{ index: 0, delta: { content }, finish_reason: null }]
  return `data: ${JSON.stringify({ id: 'chatcmpl-bad-day', object: 'chat.completion.chunk', created: 1, model: 'x', choices })}\n\n`
}
