import { describe, expect, it } from 'vitest'
import { createFleet, ref } from '../../test/refresh/fleet.ts'

describe('a refresher', () => {
  it('F-02 makes one call for a hundred callers of one process, and counts those that joined', async () => {
    const fleet = createFleet()
    const node = fleet.node()
    await fleet.connect({ livesMs: 0 })
    const given = await fleet.time.until(Promise.all(Array.from({ length: 100 }, () => node.refresher.fresh(ref))))
    expect(fleet.issuer.calls).toHaveLength(1)
    expect(new Set(given.map(({ tokens }) => tokens.accessToken.reveal()))).toEqual(new Set(['access-1']))
    expect(node.counted('token_refresh_dedup_local_total')).toBe(99)
    expect(node.counted('token_refresh_dedup_distributed_total')).toBe(0)
  })
})
