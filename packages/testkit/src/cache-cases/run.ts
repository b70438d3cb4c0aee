/**
 * Owns running the cases of http-cache-tests (Mark Nottingham's; its data and its server) against a policy of the pipeline, over real HTTP.
 * Refuses to wait: whoever runs a case moves the time. What a case expects is read by a reading of our own of its published forms.
 */
import { randomUUID } from 'node:crypto'
import { createServer, request as ask } from 'node:http'
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import handleTest from 'http-cache-tests/server/handle-test.mjs'
import { configs, stash } from 'http-cache-tests/server/utils.mjs'
import { EgressError } from '@sallyport/core'
import type { Answer, Call, Policy } from '@sallyport/core'
import type { CacheCase, CacheStep } from './cases.ts'

export interface CacheCaseServer {
  /** What was not as the case expects it; empty when all was. `pause` stands for three seconds. */
  run(test: CacheCase, policy: Policy, pause: () => void): Promise<readonly string[]>
  close(): Promise<void>
}

interface Got {
  readonly status: number
  readonly headers: Headers
  readonly text: string
}

/** What the server wrote down of one request. */
interface Seen {
  readonly request_num: number
  readonly request_method: string
  readonly request_headers: IncomingHttpHeaders
  readonly response_headers: readonly (readonly [string, string | string[]])[]
}

const DATES: ReadonlySet<string> = new Set(['date', 'expires', 'last-modified'])
const NO_BODY: ReadonlySet<number> = new Set([204, 304])

export async function startCacheCases(): Promise<CacheCaseServer> {
  const server = createServer((request, response) => {
    // Of the real time, which is not the cases'.
    response.sendDate = false
    const [, , ...path] = new URL(request.url!, 'http://cases.invalid').pathname.split('/')
    handleTest(path, request, response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    run: (test, policy, pause) => runCase(origin, test, policy, pause),
    close: async () => {
      server.closeAllConnections()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}

async function runCase(origin: string, test: CacheCase, policy: Policy, pause: () => void): Promise<string[]> {
  const id = randomUUID()
  // The server writes dates into what it is given.
  const steps = structuredClone(test.requests) as CacheStep[]
  configs.set(
    id,
    structuredClone(steps).map((step) => ({ ...step, id: test.id, name: test.name })),
  )
  const send = policy(overHttp)
  const got: (Got | undefined)[] = []
  for (const [index, step] of steps.entries()) {
    got.push(await exchange(() => send(callOf(origin, id, test, step, index, got[index - 1]))))
    if (step.pause_after === true) pause()
  }
  const seen = (stash.get(id) ?? []) as readonly Seen[]
  configs.delete(id)
  stash.delete(id)
  return steps.flatMap((step, index) => stepFaults(id, step, index, got[index], seen).map((fault) => `request ${index + 1} ${fault}`))
}

function callOf(origin: string, id: string, test: CacheCase, step: CacheStep, index: number, before: Got | undefined): Call {
  const headers = new Headers()
  for (const [name, value] of step.request_headers ?? []) {
    const shown = step.magic_ims === true && name.toLowerCase() === 'if-modified-since' ? laterThan(before, Number(value)) : String(value)
    headers.append(name, shown)
  }
  headers.set('test-id', test.id)
  headers.set('req-num', String(index + 1))
  const file = step.filename === undefined ? '' : `/${step.filename}`
  const query = step.query_arg === undefined ? '' : `?${step.query_arg}`
  return {
    method: step.request_method ?? 'GET',
    url: `${origin}/test/${id}${file}${query}`,
    headers,
    body: step.request_body ?? null,
    owner: 'an owner',
    integration: 'an integration',
    provider: 'a provider',
    connection: 'a connection',
    generation: 1,
  }
}

/** Seconds after the moment of the answer before. */
function laterThan(before: Got | undefined, seconds: number): string {
  return new Date(Number(before?.headers.get('server-now') ?? 0) + seconds * 1000).toUTCString()
}

async function exchange(send: () => Promise<Answer>): Promise<Got | undefined> {
  try {
    const { status, headers, body } = await send()
    return { status, headers, text: body === null ? '' : await new Response(body).text() }
  } catch (error) {
    // The connection was broken, as some cases have it: nothing was answered.
    if (error instanceof EgressError) return undefined
    throw error
  }
}

async function overHttp({ method, url, headers, body }: Call): Promise<Answer> {
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    const broken = (): void => reject(new EgressError('upstream_reset', 'the connection broke', true))
    const sent = ask(url, { method, headers: Object.fromEntries(headers), agent: false }, resolve).on('error', broken)
    sent.end(typeof body === 'string' ? body : undefined)
  })
  const given = new Headers()
  for (let i = 0; i + 1 < answer.rawHeaders.length; i += 2) given.append(answer.rawHeaders[i]!, answer.rawHeaders[i + 1]!)
  const bodiless = method === 'HEAD' || NO_BODY.has(answer.statusCode!)
  if (bodiless) answer.resume()
  return { status: answer.statusCode!, headers: given, body: bodiless ? null : (Readable.toWeb(answer) as ReadableStream<Uint8Array>) }
}

function stepFaults(id: string, step: CacheStep, index: number, got: Got | undefined, seen: readonly Seen[]): string[] {
  const request = seen.find(({ request_num }) => request_num === index + 1)
  const asked = request !== undefined
  const faults: string[] = []
  const fault = (wrong: boolean, what: string): void => void (wrong && faults.push(what))
  fault(step.expected_type === 'cached' && (asked || got === undefined), 'was not answered from the cache')
  fault(step.expected_type === 'not_cached' && !asked, 'was answered from the cache')
  fault(step.expected_type === 'etag_validated' && request?.request_headers['if-none-match'] === undefined, 'did not show the entity tag')
  fault(step.expected_type === 'lm_validated' && request?.request_headers['if-modified-since'] === undefined, 'did not show the date')
  for (const expected of step.expected_request_headers ?? []) {
    const [name, value] = typeof expected === 'string' ? [expected] : expected
    const sent = request?.request_headers[name.toLowerCase()]
    fault(value === undefined ? sent === undefined : sent !== value, `was sent with ${name}: ${String(sent)}`)
  }
  fault(step.expected_method !== undefined && request?.request_method !== step.expected_method, `was a ${request?.request_method}`)
  if (got !== undefined) faults.push(...answerFaults(id, step, got, request))
  return faults
}

/** A number in a header of dates counts the seconds from when the server answered. */
function valueOf(name: string, value: string | number, headers: Headers): string {
  if (typeof value === 'string' || !DATES.has(name.toLowerCase())) return String(value)
  return new Date(Number(headers.get('server-now')) + value * 1000).toUTCString()
}

function answerFaults(id: string, step: CacheStep, { status, headers, text }: Got, request: Seen | undefined): string[] {
  const faults: string[] = []
  const fault = (wrong: boolean, what: string): void => void (wrong && faults.push(what))
  fault(status !== (step.expected_status ?? step.response_status?.[0] ?? 200), `got status ${status}`)
  for (const expected of step.expected_response_headers ?? []) {
    const [name, second, third] = typeof expected === 'string' ? [expected] : (expected as [string, string | number, string | number])
    const value = headers.get(name)
    if (third !== undefined && second === '>')
      fault(!(Number.parseInt(value ?? '', 10) > Number(third)), `got ${name}: ${value}, not above ${third}`)
    else if (third !== undefined && second === '=')
      fault(value !== headers.get(String(third)), `got ${name}: ${value}, not that of ${third}`)
    else fault(second === undefined ? value === null : value !== valueOf(name, second, headers), `got ${name}: ${value}`)
  }
  for (const missing of step.expected_response_headers_missing ?? []) {
    const [name = '', value] = typeof missing === 'string' ? [missing] : missing
    const there = headers.get(name)
    fault(value === undefined ? there !== null : (there?.includes(value) ?? false), `got ${name}: ${there}`)
  }
  // Where it came from the server, it came whole.
  for (const [name, value] of request?.response_headers ?? [])
    fault(
      headers.get(name) !== [value].flat().join(', ') && status !== 304 && request?.request_headers['if-none-match'] === undefined,
      `lost ${name}`,
    )
  const body = step.expected_response_text ?? step.response_body ?? id
  const judged = step.check_body !== false && step.expected_response_text !== null && step.request_method !== 'HEAD' && !NO_BODY.has(status)
  fault(judged && step.response_body !== null && text !== body, 'got another body')
  return faults
}
