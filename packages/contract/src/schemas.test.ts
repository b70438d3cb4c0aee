import { describe, expect, it } from 'vitest'
import { usageQuery } from './schemas.ts'

describe('a question about use', () => {
  it.each(['0000-01-01', '0001-01-10', '1969-12-31'])('names no day that a database has none for, nor one before it: %s', (day) => {
    expect([usageQuery.safeParse({ to: day }).success, usageQuery.safeParse({ from: day }).success]).toEqual([false, false])
  })

  it.each(['1970-01-01', '2026-02-28', '9999-12-31'])('names any day since 1970: %s', (day) => {
    expect([usageQuery.safeParse({ to: day }).success, usageQuery.safeParse({ from: day }).success]).toEqual([true, true])
  })
})
