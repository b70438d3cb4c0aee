import { describe, expect, it } from 'vitest'
import { newId } from '@sallyport/core'
import { readChange } from './changes.ts'

describe('readChange', () => {
  const org = newId('org')
  const id = newId('conn')

  it('reads the text of our triggers', () => {
    expect(readChange(JSON.stringify({ table: 'connection', org, id }))).toEqual({ table: 'connection', org, id })
  })

  it.each([
    undefined,
    '',
    'null',
    '[]',
    '{}',
    '"text"',
    '{',
    JSON.stringify({ table: 'request_record', org, id }),
    JSON.stringify({ table: 'connection', org, id: 7 }),
    JSON.stringify({ table: 'connection', org: 'x', id }),
  ])('takes %s as unknown, so that every cache drops what it holds', (payload) => {
    expect(readChange(payload)).toBe('unknown')
  })
})
