/** How many events of whom have a place: over lookups that are answered when the test says so. */
import { setImmediate } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { createLogger, systemClock } from '@sallyport/core'
import { createEventReceiver } from './receiver.ts'
import type { Answer, EventReceiver, ReceiverOptions } from './receiver.ts'

const ONE = 'a'.repeat(32)
const OTHER = 'b'.repeat(32)
const notAsked = (): never => {
  throw new TypeError('not asked for in this test')
}

/** A receiver whose database knows no source, and says so when it is let. */
function receiverOver(answered: Promise<void>): EventReceiver {
  const lookups = { eventSourceLookup: () => answered.then(() => undefined) }
  return createEventReceiver({
    database: { lookups, withTenant: notAsked } as unknown as ReceiverOptions['database'],
    vault: { seal: notAsked, open: notAsked, openIn: notAsked },
    keySets: { at: notAsked },
    renew: notAsked,
    onEnded: notAsked,
    clock: systemClock,
    logger: createLogger({ level: 'silent', format: 'json' }),
  })
}

const outcome = (receiving: Promise<Answer | undefined>): Promise<string> =>
  receiving.then(
    (answer) => (answer === undefined ? 'to come again' : 'taken'),
    (error: { readonly code?: string }) => error.code ?? 'failed',
  )

describe('a source that floods', () => {
  it('V-03 has 50 events at work and waiting, and another source is looked after all the same', async () => {
    const database = Promise.withResolvers<void>()
    const receiver = receiverOver(database.promise)
    const send = (context: string): Promise<string> => outcome(receiver.receive(context, {}, Buffer.alloc(0)))
    const flood = Array.from({ length: 1_000 }, () => send(ONE))
    let settled = 0
    for (const one of flood) void one.then(() => (settled += 1))
    const spared = send(OTHER)
    await setImmediate()
    expect(settled).toBe(950)
    database.resolve()
    expect(await spared).toBe('event_source_unknown')
    const outcomes = await Promise.all(flood)
    expect(outcomes.filter((one) => one === 'to come again')).toHaveLength(950)
    // And has its places again when they are done.
    expect(await send(ONE)).toBe('event_source_unknown')
  })
})
