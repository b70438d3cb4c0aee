import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { operations } from '@sallyport/contract'
import { accessReference } from './reference.ts'

describe('docs/access.md', () => {
  it('T-07 is what the contract declares, operation for operation', () => {
    const page = accessReference()
    expect(readFileSync(new URL('../../../../docs/access.md', import.meta.url), 'utf8')).toBe(page)
    for (const [name, { method, path }] of Object.entries(operations)) expect(page).toContain(`| \`${name}\` | \`${method} ${path}\` |`)
  })
})
