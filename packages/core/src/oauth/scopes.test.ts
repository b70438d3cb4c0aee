import { describe, expect, it } from 'vitest'
import { missingScopes, parseScopes } from './scopes.ts'

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
