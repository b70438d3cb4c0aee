import { describe, expect, it } from 'vitest'
import { ManualClock, newId } from '@sallyport/core'
import { createProjectOrigins } from './project-origins.ts'

/** Of a database that lists one page, and whose answers come when they are let go. */
function stage({ held = false } = {}) {
  const clock = new ManualClock()
  const listed = new Set(['https://app.test'])
  const waiting: (() => void)[] = []
  const at = { asked: 0, most: 0, under: 0, held, fails: false }
  const isKnown = async (origin: string): Promise<boolean> => {
    at.asked += 1
    at.most = Math.max(at.most, (at.under += 1))
    const known = listed.has(origin)
    if (at.held) await new Promise<void>((resolve) => waiting.push(resolve))
    at.under -= 1
    if (at.fails) throw new Error('the database is away')
    return known
  }
  const origins = createProjectOrigins({ of: async () => [...listed], isKnown }, clock, (address) => address)
  /** Lets those go that ask now, and so on until nobody does, or so many times. */
  const letGo = async (times = Infinity): Promise<void> => {
    for (let time = 0; time < times && waiting.length > 0; time++) {
      for (const go of waiting.splice(0)) go()
      await new Promise<void>((resolve) => setImmediate(resolve))
    }
  }
  return { at, clock, listed, origins, letGo }
}

const madeUp = (n: number): string => `https://made-up-${n}.test`

describe('what pages are known', () => {
  it('S96 R-10 is told of a listed one although one address asks about made-up ones by the thousand', async () => {
    const { at, origins, letGo, clock } = stage({ held: true })
    const flood = Array.from({ length: 5_000 }, (_, n) => origins.isKnown(madeUp(n), '198.51.100.7'))
    const first = origins.isKnown('https://app.test', '192.0.2.1')
    expect(at.most).toBeLessThanOrEqual(8)
    await letGo()
    expect(await first).toBe(true)
    expect((await Promise.all(flood)).includes(true)).toBe(false)
    expect(at.asked).toBeLessThan(600)
    // Nor is it forgotten for them: what was known is asked about at once when it is too old.
    clock.advance(10_000)
    const again = Array.from({ length: 1_000 }, (_, n) => origins.isKnown(madeUp(10_000 + n), '198.51.100.7'))
    const page = origins.isKnown('https://app.test', '198.51.100.7')
    await letGo()
    expect(await page).toBe(true)
    await Promise.all(again)
  })

  it('S96 is told of a listed one that the crowd of another address waits to ask about, too', async () => {
    const { at, origins, letGo } = stage({ held: true })
    const flood = Array.from({ length: 400 }, (_, n) => origins.isKnown(madeUp(n), '198.51.100.7'))
    const last = origins.isKnown('https://app.test', '198.51.100.7')
    const page = origins.isKnown('https://app.test', '192.0.2.1')
    let answered: boolean | undefined
    void page.then((known) => (answered = known))
    expect(at.asked).toBeLessThan(10)
    await letGo(1)
    expect(answered).toBe(true)
    await letGo()
    expect(await last).toBe(true)
    await Promise.all(flood)
  })

  it('S96 is told from many addresses in turn, to no more at once than the database should bear', async () => {
    const { at, origins, letGo } = stage({ held: true })
    const flood = Array.from({ length: 400 }, (_, n) => origins.isKnown(madeUp(n), `198.51.100.${n % 100}`))
    const page = origins.isKnown('https://app.test', '192.0.2.1')
    await letGo()
    expect(await page).toBe(true)
    expect((await Promise.all(flood)).every((known) => !known)).toBe(true)
    expect(at.most).toBe(8)
  })

  it('R-12 is asked again after a change, also when the answer was under way', async () => {
    const { at, origins, listed, letGo } = stage({ held: true })
    const before = origins.isKnown('https://app.test', '192.0.2.1')
    listed.clear()
    origins.heard('unknown')
    await letGo()
    await before
    at.held = false
    expect(await origins.isKnown('https://app.test', '192.0.2.1')).toBe(false)
    listed.add('https://app.test')
    origins.heard({ table: 'browser_access', org: newId('org'), id: newId('proj') })
    expect(await origins.isKnown('https://app.test', '192.0.2.1')).toBe(true)
    listed.clear()
    origins.heard({ table: 'connection', org: newId('org'), id: newId('conn') })
    expect(await origins.isKnown('https://app.test', '192.0.2.1')).toBe(true)
    origins.heard('unknown')
    expect(await origins.isKnown('https://app.test', '192.0.2.1')).toBe(false)
    expect(await origins.isKnown('https://app.test', '192.0.2.1')).toBe(false)
  })

  it('is not remembered of a question that failed', async () => {
    const { at, origins } = stage()
    at.fails = true
    await expect(origins.isKnown('https://app.test', '192.0.2.1')).rejects.toThrow('away')
    at.fails = false
    expect(await origins.isKnown('https://app.test', '192.0.2.1')).toBe(true)
  })
})
