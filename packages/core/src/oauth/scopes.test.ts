import { describe, expect, it } from 'vitest'
import { missingScopes, parseScopes } from './scopes.ts'

const REFUSED = expect.objectContaining({ code: 'connect_exchange_failed' })

const contents = { repo: ['public_repo'], user: ['read:user'], a: ['b'], b: ['a', 'c'] }

describe('scopes', () => {
  it.each([
    ['repo,read:user', ['repo', 'read:user']],
    ['repo read:user', ['repo', 'read:user']],
    [' repo,  repo ,', ['repo']],
    ['', []],
  ])('are read from %j', (text, scopes) => {
    expect(parseScopes(text)).toEqual(scopes)
  })

  it('O-21 are at most 200 of at most 256 characters each', () => {
    const most = Array.from({ length: 200 }, (_, index) => `s${index}`)
    expect(parseScopes(most.join(' '))).toEqual(most)
    expect(parseScopes('x'.repeat(256))).toHaveLength(1)
    for (const text of [[...most, 'one-more'].join(' '), 'x'.repeat(257)]) expect(() => parseScopes(text)).toThrow(REFUSED)
  })

  it.each(['a\0b', 'a\u001bb', 'a"b', 'a\\b', 'a\u007f', 'b\u00fccher', 'a\u202eb', '\ud800'])(
    'O-21 are refused with a character outside RFC 6749 section 3.3: %j',
    (text) => {
      expect(() => parseScopes(`repo ${text}`)).toThrow(REFUSED)
    },
  )

  it.each([
    [['repo'], ['repo'], []],
    [['public_repo', 'read:user'], ['repo', 'user'], []],
    [['repo'], ['public_repo'], ['repo']],
    [['Repo'], ['repo'], ['Repo']],
    [['c'], ['a'], []],
    [['repo'], [], ['repo']],
    [['toString'], ['constructor'], ['toString']],
  ])('O-21 required %j, granted %j: missing %j', (required, granted, missing) => {
    expect(missingScopes(required, granted, contents)).toEqual(missing)
  })
})
