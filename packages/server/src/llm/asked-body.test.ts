import { Readable } from 'node:stream'
import { describe, expect, it } from 'vitest'
import { newId } from '@sallyport/core'
import { asked, createBodyHolding } from './asked-body.ts'

describe('what a body asks for', () => {
  it.each([
    ['{"model":"m","max_tokens":5}', 'm', 5],
    ['{"model":"m","max_completion_tokens":7,"max_tokens":5}', 'm', 7],
    ['{"model":"m","max_output_tokens":9}', 'm', 9],
    ['{"generationConfig":{"maxOutputTokens":11}}', undefined, 11],
    ['{"inferenceConfig":{"maxTokens":13}}', undefined, 13],
    ['{"model":"m","max_tokens":5,"n":3}', 'm', 15, 3],
    ['{"generationConfig":{"maxOutputTokens":11,"candidateCount":2}}', undefined, 22, 2],
    ['{"model":1,"max_tokens":"5"}', undefined, undefined],
    ['{"model":"m","max_tokens":-1}', 'm', undefined],
    ['{"model":"m","n":3}', 'm', undefined, 3],
    ['{"model":"m","background":"true"}', 'm', undefined],
    ['{"model":"m","n":-3}', 'm', undefined],
    ['[]', undefined, undefined],
    ['--form\r\n', undefined, undefined],
  ])('%s', (text, model, maxOutputTokens, answers?: number) => {
    const body = Buffer.from(text)
    expect(asked(body)).toEqual({ body, bytes: body.length, model, maxOutputTokens, answers })
  })

  it('is an answer that is worked on later, where it says so', () => {
    expect(asked(Buffer.from('{"model":"m","background":true}'))).toMatchObject({ model: 'm', background: true })
  })
})

describe('bodies that are held', () => {
  const [ours, theirs] = [newId('org'), newId('org')]
  const stream = (...sizes: number[]) => Readable.from(sizes.map((size) => Buffer.alloc(size)))

  it('D-06 are refused beyond the bound of one, declared or not', async () => {
    const holding = createBodyHolding(10, 100)
    await expect(holding.held(ours, stream(4, 4, 4), undefined, async () => 1)).rejects.toMatchObject({ code: 'payload_too_large' })
    await expect(holding.held(ours, stream(), 11, async () => 1)).rejects.toMatchObject({ code: 'payload_too_large' })
    expect(await holding.held(ours, stream(4, 4, 2), undefined, async (whole) => whole.length)).toBe(10)
  })

  it('are refused beyond the bound of all, until others have gone', async () => {
    const holding = createBodyHolding(10, 15)
    const over = Promise.withResolvers<void>()
    const first = holding.held(ours, stream(10), 10, () => over.promise)
    await expect(holding.held(ours, stream(10), 10, async () => 1)).rejects.toMatchObject({ code: 'overloaded' })
    expect(await holding.held(theirs, stream(5), 5, async () => 1)).toBe(1)
    over.resolve()
    await first
    expect(await holding.held(ours, stream(10), 10, async () => 1)).toBe(1)
  })

  it('S96 of one organization leave room for others, and take what they are once that is known', async () => {
    const holding = createBodyHolding(10, 60)
    const over = Promise.withResolvers<void>()
    const silent = (): Readable => new Readable({ read() {} })
    const stuck = Array.from({ length: 3 }, silent)
    const held = stuck.map((body) => holding.held(ours, body, undefined, async () => 1))
    await expect(holding.held(ours, silent(), undefined, async () => 1)).rejects.toMatchObject({ code: 'overloaded' })
    expect(await holding.held(theirs, stream(10), undefined, async (whole) => whole.length)).toBe(10)
    const small = stuck.map((body) => {
      body.push(Buffer.alloc(1))
      body.push(null)
    })
    expect(await Promise.all(held)).toEqual(small.map(() => 1))
    const long = Array.from({ length: 20 }, () => holding.held(ours, stream(1), 1, () => over.promise))
    expect(await holding.held(ours, stream(2), undefined, async (whole) => whole.length)).toBe(2)
    over.resolve()
    await Promise.all(long)
  })

  it('that break off are a caller’s that is gone, and give back their place', async () => {
    const holding = createBodyHolding(10, 10)
    const broken = new Readable({ read() {} })
    broken.push(Buffer.alloc(1))
    const held = holding.held(ours, broken, undefined, async () => 1)
    broken.destroy(new Error('reset'))
    await expect(held).rejects.toMatchObject({ code: 'client_gone' })
    expect(await holding.held(ours, stream(10), 10, async () => 1)).toBe(1)
  })
})
