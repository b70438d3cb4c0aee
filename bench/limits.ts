/**
 * Figures of limits over several nodes (D-10): how much more than the limit three nodes let through together, asked as fast as they answer, with even
 * and with uneven load, with Redis, without it, and when it goes half-way; and what one decision costs. On a Redis of its own. Exit code 1 when the
 * overshoot with Redis is above 5%.
 *
 *   node bench/limits.ts [seconds]        10 for each row when absent; about a minute
 */
import { systemClock } from '@sallyport/core'
import { fleet, flood, newKey } from '../packages/server/test/limits/fleet.ts'
import type { Fleet } from '../packages/server/test/limits/fleet.ts'
import { startTestRedis } from '../packages/testkit/src/servers/index.ts'

const NODES = 3
const PROMISED = 0.05
/** As the gateway waits for it. */
const REDIS_ANSWER_MS = 150
const seconds = Number(process.argv[2] ?? 10)
const SHAPES = [
  { perSecond: 20, burst: 40 },
  { perSecond: 1_000, burst: 1_000 },
]

type Shape = (typeof SHAPES)[number]

interface Row {
  readonly nodes: string
  readonly limit: string
  readonly passed: number
  readonly allowed: number
  readonly overshoot_percent: number
  readonly tries_per_second: number
  readonly redis_questions_per_100_tries: number
}

/** @param hot how many of the nodes are asked */
async function measure(name: string, shape: Shape, at: Fleet, hot: number, meanwhile?: () => Promise<void>): Promise<Row> {
  const end = systemClock.monotonic() + seconds * 1_000
  const half = meanwhile === undefined ? undefined : setTimeout(() => void meanwhile(), (seconds * 1_000) / 2)
  const { passed, tries, seconds: took } = await flood(at.limiters.slice(0, hot), newKey(), () => systemClock.monotonic() < end)
  clearTimeout(half)
  await at.close()
  const allowed = shape.burst + shape.perSecond * took
  return {
    nodes: name,
    limit: `${shape.perSecond}/s, burst ${shape.burst}`,
    passed,
    allowed: Math.round(allowed),
    overshoot_percent: Math.round((passed / allowed - 1) * 10_000) / 100,
    tries_per_second: Math.round(tries / took),
    redis_questions_per_100_tries: Math.round((at.asked() / tries) * 10_000) / 100,
  }
}

const rows: Row[] = []
const redis = await startTestRedis()
const dying = await startTestRedis()
let broken = false
try {
  for (const standard of SHAPES) {
    const with_ = () => fleet(redis.url, { nodes: NODES, standard, answerMs: REDIS_ANSWER_MS })
    const shared = [
      await measure('with Redis, load on all', standard, with_(), NODES),
      await measure('with Redis, load on one', standard, with_(), 1),
    ]
    broken ||= shared.some(({ overshoot_percent }) => overshoot_percent > PROMISED * 100)
    const without = () => fleet(undefined, { nodes: NODES, standard, answerMs: REDIS_ANSWER_MS })
    rows.push(...shared, await measure('without Redis, load on all', standard, without(), NODES))
    rows.push(await measure('without Redis, load on one', standard, without(), 1))
  }
  const standard = SHAPES[1]!
  const goes = fleet(dying.url, { nodes: NODES, standard, answerMs: REDIS_ANSWER_MS })
  rows.push(await measure('Redis goes half-way, load on all', standard, goes, NODES, () => dying.stop()))
} finally {
  await redis.stop()
  await dying.stop().catch(() => undefined)
}
console.log(JSON.stringify({ seconds_each: seconds, overshoot_of_three_nodes: rows }, undefined, 2))
process.exitCode = broken ? 1 : 0
