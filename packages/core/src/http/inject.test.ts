import { describe, expect, it } from 'vitest'
import { Secret } from '../kernel/index.ts'
import { echoesOf, inject } from './inject.ts'
import type { Injection } from './inject.ts'

const header = (name: string, value: string): Injection => ({ kind: 'header', name, value: new Secret(value) })
const query = (name: string, value: string): Injection => ({ kind: 'query', name, value: new Secret(value) })

describe('inject', () => {
  it('S-16 takes out every header of an injected name before putting its own in last', () => {
    const given = ['x-key', 'mine', 'accept', '*/*', 'X-KEY', 'mine', 'x_key', 'mine']
    expect(inject('/a', given, [header('X-Key', 'theirs')]).headers).toEqual(['accept', '*/*', 'X-Key', 'theirs'])
    expect(given).toContain('mine')
  })

  it.each([
    ['/a', '/a?key=theirs'],
    ['/a?', '/a?&key=theirs'],
    ['/a?b=1', '/a?b=1&key=theirs'],
    ['/a?key=mine&b=1&key=again', '/a?b=1&key=theirs'],
    ['/a?KEY=mine', '/a?key=theirs'],
    ['/a?%6bey=mine', '/a?key=theirs'],
    ['/a?%6b%65%79=mine&b', '/a?b&key=theirs'],
    ['/a?key[]=mine&key%5B0%5D=x', '/a?key=theirs'],
    ['/a?key', '/a?key=theirs'],
    ['/a?+key=mine', '/a?key=theirs'],
    ['/a?monkey=1&key2=2', '/a?monkey=1&key2=2&key=theirs'],
  ])('S-06 S-16 leaves one parameter of the injected name in %s', (path, expected) => {
    expect(inject(path, [], [query('key', 'theirs')]).path).toBe(expected)
  })

  it('encodes a query secret so that it stays one parameter', () => {
    expect(inject('/a', [], [query('key', 'a&b=c#d e')]).path).toBe('/a?key=a%26b%3Dc%23d%20e')
  })

  it('puts in several, in order', () => {
    const request = inject('/a', ['accept', 'x'], [header('A-Key', '1'), query('b', '2'), header('C-Key', '3')])
    expect(request).toEqual({ path: '/a?b=2', headers: ['accept', 'x', 'A-Key', '1', 'C-Key', '3'], names: new Set(['a-key', 'c-key']) })
  })

  it.each(['a\r\nX-Evil: 1', 'a\0', '\u2028'])('I-03 L-02 refuses a secret that would split the message, without quoting it', (value) => {
    expect(() => inject('/a', [], [header('Authorization', value)])).toThrow(
      expect.objectContaining({ code: 'header_refused', message: 'header_refused: value' }),
    )
  })
})

describe('echoesOf', () => {
  it('knows the credential apart from its scheme, and a query value as it stands in a URL', () => {
    const texts = echoesOf([header('Authorization', 'Bearer fake token'), header('X-Key', 'fake'), query('k', 'a b')]).map((secret) =>
      secret.reveal(),
    )
    expect(texts).toEqual(['fake token', 'fake', 'a b', 'a%20b'])
  })
})
