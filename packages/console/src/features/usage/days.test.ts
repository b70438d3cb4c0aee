import { expect, it } from 'vitest'
import { endOf, firstOf, firstOfMonth } from './days.ts'

const NOW = Date.parse('2026-03-01T23:59:59Z')

it('days are those of UTC, today with them', () => {
  expect(firstOf(1, NOW)).toBe('2026-03-01')
  expect(firstOf(7, NOW)).toBe('2026-02-23')
  expect(firstOfMonth(NOW)).toBe('2026-03-01')
  expect(endOf('2026-02-28')).toBe('2026-03-01T00:00:00Z')
})
