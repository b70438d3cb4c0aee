import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SallyportError } from '@sallyport/core'
import type { FallbackCause, ModelTarget } from '../db/index.ts'
import { inOrder, walk } from './fallback.ts'
import type { FailedFor, Outcome, Turn } from './fallback.ts'

const seed = Number(process.env['SALLYPORT_TEST_SEED'] ?? Date.now() % 2 ** 31)
console.info(`fallback.prop seed ${seed}`)

const FALLBACK: readonly FallbackCause[] = ['rate_limited', 'server_error', 'timeout', 'circuit_open']
const CAUSES: readonly FailedFor[] = [...FALLBACK, 'no_key', 'unsayable']
const NEVER_ENDS: readonly FailedFor[] = ['no_key', 'unsayable']
const NOT_SENT: readonly FailedFor[] = [...NEVER_ENDS, 'circuit_open']

const targets = fc
  .array(fc.integer({ min: 1, max: 1_000 }), { minLength: 1, maxLength: 16 })
  .map((weights) =>
    weights.map((weight, at): ModelTarget => ({ provider: `p${at}`, model: 'm', keyName: 'default', weight, firstByteTimeoutMs: null })),
  )
const outcome = fc.oneof(
  fc.constant<Outcome<string>>({ served: true }),
  fc.record({ cause: fc.constantFrom(...FALLBACK), answer: fc.string() }).map((one): Outcome<string> => ({ served: false, ...one })),
  fc.constantFrom(...CAUSES).map((cause): Outcome<string> => ({ served: false, cause, error: new SallyportError(cause, cause) })),
)

describe('the walk over any targets', () => {
  it('asks each at most once, in order, nobody after an answer, and none that the route does not go on to', async () => {
    await fc.assert(
      fc.asyncProperty(
        targets,
        fc.array(outcome, { minLength: 16, maxLength: 16 }),
        fc.subarray([...FALLBACK]),
        async (list, script, fallbackOn) => {
          const turns: Turn[] = []
          const ask = async (turn: Turn): Promise<Outcome<string>> => script[turns.push(turn) - 1]!
          const result = await walk({ targets: list, fallbackOn: new Set(fallbackOn), deadlineMs: 1, now: () => 0, ask }).catch(
            (error: unknown) => error,
          )
          expect(turns.map(({ target }) => target)).toEqual(list.slice(0, turns.length))
          const said = script.slice(0, turns.length)
          // Everyone but the last failed in a way after which the route goes on.
          for (const one of said.slice(0, -1)) {
            expect(one.served).toBe(false)
            if (!one.served) expect([...fallbackOn, ...NEVER_ENDS]).toContain(one.cause)
          }
          const sent = said.filter((one) => one.served || !NOT_SENT.includes(one.cause)).length
          const answers = said.flatMap((one) => (!one.served && 'answer' in one ? [one.answer] : []))
          if (said.at(-1)!.served) expect([result, turns.at(-1)!.attempt]).toEqual([{ served: true }, sent])
          else if (answers.length > 0) expect(result).toEqual({ served: false, attempts: expect.any(Number), answer: answers.at(-1) })
          else expect(result).toBeInstanceOf(SallyportError)
        },
      ),
      { seed },
    )
  })

  it('draws every target exactly once, whatever the draws', () => {
    const draw = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })
    fc.assert(
      fc.property(targets, fc.array(draw, { minLength: 16, maxLength: 16 }), (list, draws) => {
        const drawn = inOrder({ strategy: 'weighted', targets: list }, () => draws.pop()!)
        expect(drawn.map(({ provider }) => provider).toSorted()).toEqual(list.map(({ provider }) => provider).toSorted())
      }),
      { seed },
    )
  })
})
