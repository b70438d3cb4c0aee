import { describe, expect, it } from 'vitest'
import type { Answer, Call } from './call.ts'
import { deadline } from './deadline.ts'
import { ManualTime } from './time.ts'

function call(change: Partial<Call> = {}): Call {
  const fixed = { method: 'GET', url: 'https://api.example/x', headers: new Headers(), body: null }
  return { ...fixed, owner: 'o', integration: 'i', provider: 'p', connection: 'c', generation: 1, ...change }
}

const exceeded = { code: 'deadline_exceeded' }
const ok = (body: Answer['body'] = null): Answer => ({ status: 200, headers: new Headers(), body })

describe('a deadline', () => {
  it('ends a call that gets no answer, and tells what is inside', async () => {
    const time = new ManualTime()
    let inside: Call | undefined
    const send = deadline({ totalMs: 5_000, clock: time, pause: time.pause })((one) => ((inside = one), new Promise(() => undefined)))
    const refused = expect(send(call())).rejects.toMatchObject(exceeded)
    await time.pass(4_999)
    expect(inside?.signal?.aborted).toBe(false)
    await time.pass(1)
    await refused
    expect(inside?.signal?.reason).toMatchObject({ name: 'TimeoutError' })
  })

  it('is the earlier one of the call and of the policy, and sends nothing when it has passed', async () => {
    const time = new ManualTime()
    const seen: (number | undefined)[] = []
    const send = deadline({ totalMs: 5_000, clock: time, pause: time.pause })((one) => (seen.push(one.deadline), Promise.resolve(ok())))
    await send(call())
    await send(call({ deadline: 2_000 }))
    await send(call({ deadline: 9_000 }))
    time.advance(2_000)
    await expect(send(call({ deadline: 2_000 }))).rejects.toMatchObject(exceeded)
    expect(seen).toEqual([5_000, 2_000, 5_000])
  })

  it('cuts a body that drips on, and lets go of its source', async () => {
    const time = new ManualTime()
    let dropped = false
    const drip = new ReadableStream<Uint8Array>({ start: (to) => to.enqueue(Uint8Array.of(1)), cancel: () => void (dropped = true) })
    const send = deadline({ totalMs: 5_000, clock: time, pause: time.pause })(() => Promise.resolve(ok(drip)))
    const reader = (await send(call())).body!.getReader()
    expect(await reader.read()).toMatchObject({ done: false })
    const rest = expect(reader.read()).rejects.toMatchObject(exceeded)
    await time.pass(5_000)
    await rest
    expect(dropped).toBe(true)
  })

  it('leaves no timer behind once all was read, cancelled, failed or there was no body', async () => {
    const time = new ManualTime()
    const within = (answer: () => Promise<Answer>) => deadline({ clock: time, pause: time.pause })(answer)(call())
    await within(() => Promise.resolve(ok()))
    await new Response((await within(() => Promise.resolve(ok(new Blob(['x']).stream())))).body).text()
    await (await within(() => Promise.resolve(ok(new Blob(['x']).stream())))).body!.cancel()
    await expect(within(() => Promise.reject(new TypeError('x')))).rejects.toThrow(TypeError)
    expect(time.waiting).toBe(0)
  })

  it('drops an answer that comes too late', async () => {
    const time = new ManualTime()
    const late = Promise.withResolvers<Answer>()
    let dropped = false
    const refused = expect(deadline({ clock: time, pause: time.pause })(() => late.promise)(call())).rejects.toMatchObject(exceeded)
    await time.pass(60_000)
    await refused
    late.resolve(ok(new ReadableStream({ cancel: () => void (dropped = true) })))
    await time.pass(1)
    expect(dropped).toBe(true)
  })
})
