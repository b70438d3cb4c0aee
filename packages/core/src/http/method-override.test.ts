import { describe, expect, it } from 'vitest'
import { cleanRequestHeaders } from './headers.ts'
import { overridesMethod } from './method-override.ts'

describe('a query that names another method', () => {
  it.each([
    '/a?$httpMethod=DELETE',
    '/a?x=1&$httpmethod=DELETE',
    '/a?%24httpMethod=DELETE',
    '/a?%24%68ttpMethod=DELETE',
    '/a?$.httpMethod=DELETE',
    '/a?$httpHeaders=x-http-method-override%3ADELETE',
    '/a?$httpMethod',
    '/a?_method=delete',
    '/a?__method=delete',
    '/a?_METHOD',
    '/a?x=1;_method=PUT',
    '/a?_method[]=PUT',
    '/a?X-HTTP-Method-Override=PUT',
    '/a?x-http-method=PUT',
    '/a?x-method-override=PUT',
    '/a?_http_method=PUT',
    '/a?http_method=put',
    '/a?method=delete&id=1',
    '/a?%6dethod=%64elete',
  ])('S-18 is seen: %s', (path) => {
    expect(overridesMethod(path)).toBe(true)
  })

  it.each([
    '/a',
    '/_method',
    '/$httpMethod/x',
    '/a?method=flickr.photos.search',
    '/a?q=_method',
    '/a?q=$httpMethod',
    '/a?payment_method=card',
    '/a?methods=get',
    '/a?to=https%3A%2F%2Fb.example%2F%3Fc%3Dd%26method%3Dget%26_method%3Dput',
    '/a?$filter=x',
    '/a?shipping_method=post',
  ])('is none: %s', (path) => {
    expect(overridesMethod(path)).toBe(false)
  })

  it.each(['X-HTTP-Method-Override', 'X-Method-Override', 'X-HTTP-Method', 'x_http_method_override', 'X_Method_Override'])(
    'S-18 goes on in no header either: %s',
    (name) => {
      expect(cleanRequestHeaders([name, 'DELETE', 'x-other', '1'])).toEqual(['x-other', '1', 'accept-encoding', 'identity'])
    },
  )
})
