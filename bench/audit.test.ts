import { describe, expect, it } from 'vitest'
import { tableOfAudit } from './audit.ts'

describe('the figures of the audit log', () => {
  it('say what memory an export takes, beside how fast all of it is', () => {
    const exported = {
      rows: 10,
      perSecond: 4,
      bytes: 1_048_576,
      rssBefore: 1_048_576,
      rssEarly: 2_097_152,
      rssLater: 3_145_728,
      provenPerSecond: 3,
    }
    const figures = { appendsPerSecond: { alone: 1, strict: 2, batched: 3 }, verified: { events: 10, perSecond: 5 }, exported, faults: 0 }
    const table = tableOfAudit(figures)
    expect(table).toContain('alone 1, strict 2, batched 3')
    expect(table).toContain('1 MB before, 2 MB in the first tenth, 3 MB after it')
  })
})
