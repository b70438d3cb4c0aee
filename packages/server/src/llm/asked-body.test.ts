import { Readable } from 'node:stream'
import { gzipSync } from 'node:zlib'
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
    ['{"model":"m","max_tokens":5,"best_of":3,"n":2}', 'm', 15, 3],
    ['{"model":"m","max_tokens":5,"n":2,"prompt":["a","b",[1,2]]}', 'm', 30, 6],
    ['{"model":"m","max_tokens":5,"prompt":[1,2,3]}', 'm', 5],
    ['{"model":"m","prompt":["a","b"]}', 'm', undefined, 2],
  ])('%s', (text, model, maxOutputTokens, answers?: number) => {
    const body = Buffer.from(text)
    expect(asked(body, '/model/m/invoke')).toEqual({ bytes: body.length, model, maxOutputTokens, answers })
  })

  it.each([
    ['', Buffer.alloc(0)],
    ['a list', Buffer.from('[]')],
    ['a form', Buffer.from('--form\r\n')],
    ['what has a byte order mark', Buffer.from('\uFEFF{"model":"m","max_tokens":5}')],
    ['UTF-16', Buffer.from('{"model":"m","max_tokens":5}', 'utf16le')],
    ['what is encoded', gzipSync('{"model":"m","max_tokens":5}')],
  ])('is not known of %s, which somebody else may understand all the same', (_what, body) => {
    expect(asked(body, '/v1/messages')).toEqual({ bytes: body.length, opaque: true })
  })

  it.each([
    ['/v1/chat/completions', { max_completion_tokens: 7, max_tokens: 5 }, { maxOutputTokens: 1, max_output_tokens: 1 }],
    ['/v1/completions/?a=b', { max_tokens: 5 }, { max_gen_len: 1 }],
    ['/v1/responses', { max_output_tokens: 5 }, { max_tokens: 1 }],
    ['/v1/messages', { max_tokens: 5 }, { max_completion_tokens: 1 }],
    ['/v2/chat', { max_tokens: 5 }, { maxTokens: 1 }],
    ['/v1beta/models/m:streamGenerateContent?alt=sse', { generationConfig: { maxOutputTokens: 5 } }, { max_tokens: 1 }],
    ['/v1beta/models/m%3AgenerateContent', { generation_config: { max_output_tokens: 5 } }, { maxOutputTokens: 1 }],
    ['/model/m/converse-stream', { inferenceConfig: { maxTokens: 5 } }, { maxTokens: 1, max_tokens: 1 }],
  ])('is bounded at %s by %j, and by nothing else that a vendor passes over: %j', (path, bounds, others) => {
    const most = (body: object) => asked(Buffer.from(JSON.stringify(body)), path).maxOutputTokens
    expect([most(bounds), most({ ...bounds, ...others }), most(others)]).toEqual([most(bounds), most(bounds), undefined])
    expect(most(bounds)).toBeGreaterThanOrEqual(5)
  })

  it('is not bounded by nothing', () => {
    expect(asked(Buffer.from('{"model":"m","max_tokens":0}'), '/v1/messages').maxOutputTokens).toBeUndefined()
  })

  it('is an answer that is worked on later, where it says so', () => {
    expect(asked(Buffer.from('{"model":"m","background":true}'), '/v1/responses')).toMatchObject({ model: 'm', background: true })
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

  it('give back their room before their work ends where it says so, and once', async () => {
    const holding = createBodyHolding(10, 20)
    const over = Promise.withResolvers<void>()
    const work = holding.held(ours, stream(10), 10, async (_whole, room) => {
      for (const keeping of [4, 6, undefined, 3]) room.leave(keeping)
      await over.promise
    })
    const asWide = (): Promise<number> => holding.held(theirs, stream(10), 10, () => holding.held(ours, stream(10), 10, async () => 1))
    await expect.poll(() => asWide().catch(() => 0)).toBe(1)
    over.resolve()
    await work
    expect(await asWide()).toBe(1)
    const alone = holding.held(ours, stream(10), 10, () =>
      holding.held(theirs, stream(10), 10, () => holding.held(ours, stream(1), 1, async () => 1)),
    )
    await expect(alone).rejects.toMatchObject({ code: 'overloaded' })
  })

  it('keep the room of what is needed still', async () => {
    const holding = createBodyHolding(10, 13)
    const over = Promise.withResolvers<void>()
    const begun = Promise.withResolvers<void>()
    const work = holding.held(ours, stream(10), 10, async (_whole, room) => {
      room.leave(4)
      begun.resolve()
      await over.promise
    })
    await begun.promise
    await expect(holding.held(theirs, stream(10), 10, async () => 1)).rejects.toMatchObject({ code: 'overloaded' })
    expect(await holding.held(theirs, stream(9), 9, async () => 1)).toBe(1)
    over.resolve()
    await work
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
