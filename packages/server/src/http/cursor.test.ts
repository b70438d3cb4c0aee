import { describe, expect, it } from 'vitest'
import { generateKeyBytes, hmacKey } from '@sallyport/core'
import { createCursors } from './cursor.ts'

const cursors = createCursors(hmacKey(generateKeyBytes()))
const list = ['keyList', 'org-a', 'project', 'test']
const refused = expect.objectContaining({ code: 'validation_failed' })

describe('cursors', () => {
  it('carry a position through the list they were made for', () => {
    expect(cursors.read(list, cursors.issue(list, '0198-id'))).toBe('0198-id')
    expect(cursors.read(list, undefined)).toBeUndefined()
  })

  it.each([
    ['another tenant', ['keyList', 'org-b', 'project', 'test']],
    ['another operation', ['connectionList', 'org-a', 'project', 'test']],
    ['another filter', [...list, 'integration=github']],
    ['the same parts, cut elsewhere', ['keyListorg-a', 'project', 'test']],
  ])('T-23 are refused for %s', (_what, binding) => {
    expect(() => cursors.read(binding, cursors.issue(list, 'x'))).toThrow(refused)
  })

  it('T-23 are refused when made under another key', () => {
    expect(() => cursors.read(list, createCursors(hmacKey(generateKeyBytes())).issue(list, 'x'))).toThrow(refused)
  })

  it('I-02 are refused when any character is another, or the spelling is not the one', () => {
    const cursor = cursors.issue(list, 'some-position')
    for (let at = 0; at < cursor.length; at++) {
      const changed = cursor.slice(0, at) + (cursor[at] === 'A' ? 'B' : 'A') + cursor.slice(at + 1)
      expect(() => cursors.read(list, changed), String(at)).toThrow(refused)
    }
    for (const text of ['', 'x', `${cursor}=`, `${cursor} `, ` ${cursor}`, cursor.slice(0, -1), '1;drop', '-1', 'NaN']) {
      expect(() => cursors.read(list, text), text).toThrow(refused)
    }
  })
})
