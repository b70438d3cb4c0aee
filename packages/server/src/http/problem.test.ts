import { readFileSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { describe, expect, it } from 'vitest'
import { PROBLEM_CODES, problemSchema } from '@sallyport/contract'
import { CryptoError, KeySourceError, Secret, SallyportError } from '@sallyport/core'
import { IdentityError, REFUSED_KEY } from '../identity/index.ts'
import { ProblemError, problemFor, problemHeaders, PROBLEMS, sendProblem } from './problem.ts'

const requestId = 'req_0000000000000000000000'
const canary = 'canary-7f3a'

describe('problems', () => {
  it.each(PROBLEM_CODES)('give %s the status of its row and the shape of the contract', (code) => {
    const problem = problemFor(new ProblemError(code, 'detail'), requestId)
    expect(problemSchema.parse(problem)).toEqual(problem)
    expect(problem).toMatchObject({ code, status: PROBLEMS[code].status, type: `urn:sallyport:problem:${code}` })
  })

  it.each([
    new Error(canary),
    new TypeError(canary, { cause: new Error(canary) }),
    canary,
    { code: 'not_found', message: canary },
    new SallyportError('unheard_of', canary, { publicDetail: canary }),
    new SallyportError('database_query_failed', canary, { publicDetail: canary }),
    Object.assign(new Error(canary), { statusCode: 404, code: 'ENOENT' }),
    new Secret(canary),
    null,
    undefined,
  ])('L-05 show nothing of what is not known: case %#', (thrown) => {
    const text = JSON.stringify(problemFor(thrown, requestId))
    expect(JSON.parse(text)).toMatchObject({ status: 500, code: 'internal' })
    expect(text).not.toContain(canary)
  })

  it("L-05 show a SallyportError's public sentence and never its message", () => {
    const problem = problemFor(new SallyportError('upstream_reset', canary, { publicDetail: 'It broke off.' }), requestId)
    expect(problem).toMatchObject({ code: 'upstream_reset', detail: 'It broke off.' })
    expect(JSON.stringify(problem)).not.toContain(canary)
  })

  it('make every decryption failure look alike', () => {
    const codes = ['decrypt_failed', 'envelope_malformed', 'envelope_version_unknown', 'key_unknown'] as const
    const problems = codes.map((code) => JSON.stringify(problemFor(new CryptoError(code, code), requestId)))
    expect(new Set(problems).size).toBe(1)
  })

  it('C-09 are key_unavailable when whoever holds root keys is away or refuses, and say nothing of who that is', () => {
    for (const code of ['key_source_unavailable', 'key_source_refused'] as const) {
      const problem = problemFor(new KeySourceError(code, canary), requestId)
      expect(problem).toMatchObject({ code: 'key_unavailable', status: 503 })
      expect(JSON.stringify(problem)).not.toContain(canary)
    }
  })

  it('say with 503 when to come back, and keep a longer wait that the error asks for', () => {
    const late = Object.assign(new ProblemError('overloaded', ''), { retryAfterS: 7.2 })
    const headers = (error: unknown) => problemHeaders(problemFor(error, requestId), error, requestId)
    expect(headers(late)['retry-after']).toBe('8')
    expect(headers(new ProblemError('draining', ''))['retry-after']).toBe('1')
    expect(headers(new ProblemError('not_found', ''))['retry-after']).toBeUndefined()
  })

  it('are all explained in docs/errors.md, each once, with its status, and nothing there is dead', () => {
    const text = readFileSync(new URL('../../../../docs/errors.md', import.meta.url), 'utf8')
    const documented = [...text.matchAll(/^### (\w+)\n\*\*(\d{3})\.\*\* [^]*?\*Do:\*/gmu)].map(([, code, status]) => [code, Number(status)])
    expect(documented).toEqual(PROBLEM_CODES.map((code) => [code, PROBLEMS[code].status]))
  })
})

/** What a raw answer carries, whichever way its headers were given. */
function answered(
  error: unknown,
  { method = 'GET', id = requestId, more = {} }: { method?: string; id?: string; more?: Record<string, string> } = {},
) {
  const said: { status?: number; headers?: Record<string, string>; body?: string; problem?: unknown } = {}
  const response = {
    headersSent: false,
    req: { method },
    writeHead(status: number, headers: Record<string, string> | string[]) {
      said.status = status
      const pairs = Array.isArray(headers)
        ? headers.flatMap((name, at) => (at % 2 === 0 ? [[name, headers[at + 1]!]] : []))
        : Object.entries(headers)
      said.headers = Object.fromEntries(pairs.map(([name, value]) => [name, String(value)]))
    },
    end: (body?: Buffer | string) => void (said.body = body?.toString() ?? ''),
  }
  said.problem = sendProblem(response as unknown as ServerResponse, error, id, more)
  return said
}

describe('the answer to an error that is made once', () => {
  const alike: readonly [IdentityError, () => IdentityError][] = [
    [REFUSED_KEY, () => new IdentityError('unauthenticated', 'the credential was not accepted')],
    [
      Object.freeze(new IdentityError('overloaded', 'm', { retryAfterS: 7, publicDetail: 'Wait.' })),
      () => new IdentityError('overloaded', 'm', { retryAfterS: 7, publicDetail: 'Wait.' }),
    ],
  ]

  it.each(alike)('D-01 is what any answer to it would be, header by header: case %#', (once, afresh) => {
    for (const more of [{}, { 'strict-transport-security': 'max-age=1' }])
      for (const method of ['GET', 'HEAD', 'POST'])
        for (const id of [requestId, 'req_1111111111111111111111'])
          expect(answered(once, { method, id, more })).toEqual(answered(afresh(), { method, id, more }))
  })

  it('names each request by its own id, in the body and in the header', () => {
    const [one, other] = ['req_1111111111111111111111', 'req_2222222222222222222222'].map((id) => answered(REFUSED_KEY, { id }))
    expect(JSON.parse(one!.body!)).toMatchObject({ instance: 'urn:sallyport:request:req_1111111111111111111111', code: 'unauthenticated' })
    expect(other!.headers).toMatchObject({ 'sallyport-request-id': 'req_2222222222222222222222' })
    expect(other!.body).not.toContain('req_1111')
  })

  it('D-01 is not what is thrown that is no error at all, which is answered as any failure of ours', () => {
    for (const thrown of [undefined, null, 'text', 7])
      expect(answered(thrown)).toMatchObject({ status: 500, problem: { code: 'internal' } })
  })

  it('says nothing of what came before it: other fields of the server are those that it is told now', () => {
    answered(REFUSED_KEY, { more: { 'x-first': '1' } })
    expect(answered(REFUSED_KEY, { more: { 'x-second': '2' } }).headers).not.toHaveProperty('x-first')
  })
})
