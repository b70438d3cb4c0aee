import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'

const FOLDER = import.meta.dirname

const sources = readdirSync(FOLDER, { recursive: true, encoding: 'utf8' }).filter(
  (file) => /\.(?:ts|sql)$/u.test(file) && !file.endsWith('.test.ts'),
)
const pagesByOffset = (text: string): boolean => /\.offset\(|\boffset\s+(?:\$\d|\d|\$\{)/iu.test(text)

describe('lists', () => {
  // The risk: a page deep in a list of a million rows that reads all those before it.
  it('D-19 are paged by key: no query skips rows by their number, however deep the page', () => {
    expect(sources.length).toBeGreaterThan(30)
    expect(sources.filter((file) => pagesByOffset(readFileSync(join(FOLDER, file), 'utf8')))).toEqual([])
    expect(['select 1 limit 5 offset 100', '.limit(5).offset(page)', 'OFFSET $2'].every(pagesByOffset)).toBe(true)
  })
})
