import { describe, expect, it } from 'vitest'
import { AskedError, readAsked, requireJson, splitModel, wantedBy } from './compatible-request.ts'

/** Code, field and reason of what was thrown. */
function refusal(work: () => unknown): unknown {
  try {
    return work()
  } catch (error) {
    return error instanceof AskedError ? [error.code, error.param, error.reason] : error
  }
}
const asked = (text: string): unknown => refusal(() => readAsked(Buffer.from(text)))

describe('what a request of /v1/ is for', () => {
  it.each([
    ['POST', '/v1/chat/completions', { operation: 'chat', path: '/v1/chat/completions' }],
    ['POST', '/v1/responses?x=y', { operation: 'responses', path: '/v1/responses' }],
    ['POST', '/v1/embeddings', { operation: 'embeddings', path: '/v1/embeddings' }],
    ['GET', '/v1/models', { model: undefined, path: '/v1/models' }],
    ['GET', '/v1/models/a-route', { model: 'a-route', path: '/v1/models' }],
    ['GET', '/v1/models/openai%2Fgpt-5', { model: 'openai/gpt-5', path: '/v1/models' }],
    ['GET', '/v1/models/openai/gpt-5', { model: 'openai/gpt-5', path: '/v1/models' }],
  ])('%s %s', (method, url, wanted) => expect(wantedBy(method, url)).toEqual(wanted))

  it.each([
    ['GET', '/v1/chat/completions', 'method_not_allowed'],
    ['DELETE', '/v1/models/openai%2Fgpt', 'method_not_allowed'],
    ['POST', '/v1/images/generations', 'not_found'],
    ['GET', '/v1/models/', 'not_found'],
    ['GET', '/v1/models/%zz', 'not_found'],
    ['POST', '/v1/chat/completions/', 'not_found'],
  ])('%s %s is refused as %s', (method, url, code) => expect(refusal(() => wantedBy(method, url))).toEqual([code, null, code]))

  it('repeats no path that could hold a key or turn text around', () => {
    const thrown = (url: string): string => {
      try {
        wantedBy('POST', url)
      } catch (error) {
        return (error as AskedError).publicDetail!
      }
      return ''
    }
    expect(thrown('/v1/audio/speech')).toContain('/v1/audio/speech')
    expect(thrown(`/v1/${'x'.repeat(80)}`)).not.toContain('xxx')
    expect(thrown('/v1/a%e2%80%aeb')).not.toContain('%e2')
  })

  it.each([[{}], [{ 'content-type': 'text/plain' }], [{ 'content-type': 'application/json', 'content-encoding': 'gzip' }]])(
    'a body declared as %o is none of its',
    (headers) => expect(refusal(() => requireJson(headers))).toEqual(['unsupported_media_type', null, 'unsupported_media_type']),
  )

  it('a body of JSON is taken with its parameters', () =>
    expect(refusal(() => requireJson({ 'content-type': 'Application/JSON; charset=utf-8' }))).toBeUndefined())
})

describe('what is asked', () => {
  it('is an object that names a model', () => expect(asked('{"model":"a/b","n":1}')).toEqual({ model: 'a/b', n: 1 }))

  it.each([
    ['', null, 'invalid_json'],
    ['{"model":', null, 'invalid_json'],
    ['[1]', null, 'bad_request'],
    ['null', null, 'bad_request'],
    ['{}', 'model', 'missing_required_parameter'],
    ['{"model":7}', 'model', 'invalid_type'],
    ['{"model":"a/b","stream":"yes"}', 'stream', 'invalid_type'],
  ])('%s is refused by its field', (text, param, reason) => expect(asked(text)).toEqual(['bad_request', param, reason]))

  it('is refused in bytes that are no UTF-8', () =>
    expect(refusal(() => readAsked(Buffer.from([0x22, 0xff, 0x22])))).toEqual(['bad_request', null, 'invalid_json']))

  it('goes as deep as schemas do, and no deeper than whoever writes it again can go', () => {
    const nested = (depth: number): string => `{"model":"a/b","x":${'['.repeat(depth)}${']'.repeat(depth)}}`
    expect(asked(nested(199))).toMatchObject({ model: 'a/b' })
    expect(asked(nested(200))).toEqual(['bad_request', null, 'invalid_json'])
    expect(asked(nested(1_000_000))).toEqual(['bad_request', null, 'invalid_json'])
    // Brackets of texts are none.
    expect(asked(`{"model":"a/b","x":"${'['.repeat(500)}\\\\\\"${'{'.repeat(500)}"}`)).toMatchObject({ model: 'a/b' })
  })

  it('keeps names that reach a prototype as names', () => {
    const { model, ...rest } = readAsked(Buffer.from('{"model":"a/b","__proto__":{"polluted":1}}'))
    expect([model, Object.keys(rest), ({} as { polluted?: unknown }).polluted]).toEqual(['a/b', ['__proto__'], undefined])
  })
})

describe('the name of a model', () => {
  it.each([
    ['openai/gpt-5', { provider: 'openai', model: 'gpt-5' }],
    ['openrouter/meta/llama', { provider: 'openrouter', model: 'meta/llama' }],
    ['/x', { provider: '', model: 'x' }],
    ['a-route', undefined],
  ])('%s', (name, parts) => expect(splitModel(name)).toEqual(parts))
})
