import { describe, expect, it } from 'vitest'
import fc from 'fast-check'
import { listModelProviders } from '@sallyport/core'
import type { ResponseSink } from '@sallyport/core'
import { askingForUsage, withoutUsage } from './unasked-usage.ts'

const seed = Number(process.env['SALLYPORT_TEST_SEED'] ?? Date.now() % 2 ** 31)

function sinkOf() {
  const [pieces, heads] = [[] as Buffer[], [] as string[][]]
  let over = ''
  const sink: ResponseSink = {
    destroyed: false,
    writableFinished: false,
    writeHead: (_status, headers) => heads.push(headers),
    flushHeaders: () => undefined,
    write: (chunk) => (pieces.push(Buffer.from(chunk)), pieces.length % 2 === 0),
    end: () => (over = 'end'),
    destroy: () => (over = 'destroy'),
    on: () => undefined,
  }
  return { sink, heads, pieces, became: () => [Buffer.concat(pieces).toString('utf8'), over] }
}

function through(
  pieces: readonly string[],
  headers = ['content-type', 'text/event-stream; charset=utf-8'],
  how: 'end' | 'destroy' = 'end',
) {
  const to = sinkOf()
  const sink = withoutUsage(to.sink)
  sink.writeHead(200, headers)
  for (const piece of pieces) sink.write(Buffer.from(piece, 'latin1'))
  sink[how]()
  return to
}

const event = (said: unknown, end = '\n') => `data: ${typeof said === 'string' ? said : JSON.stringify(said)}${end}${end}`
const text = { id: 'c', choices: [{ index: 0, delta: { content: 'hello "choices":[] there' } }], usage: null }
const usage = { id: 'c', choices: [], usage: { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 } }
/** As Azure begins: no choices, and no use either. */
const filters = { id: '', choices: [], prompt_filter_results: [{ prompt_index: 0 }] }
const last = { id: 'c', choices: [{ index: 0, delta: {}, finish_reason: 'stop' }], usage: { prompt_tokens: 1 } }

describe('a stream whose caller did not ask for its usage', () => {
  it('comes without the event that says it, and with every other byte', () => {
    const others = [': hello\n\n', event(filters), event(text), event(text, '\r\n'), event(last), event('{"choices":[],"usage"')]
    expect(through([...others, event(usage), event(usage, '\r\n'), event('[DONE]')]).became()).toEqual([
      [...others, event('[DONE]')].join(''),
      'end',
    ])
  })

  it(`is the same in whatever pieces it comes (seed ${seed})`, () => {
    const ends = fc.constantFrom('\n', '\r\n', '\r')
    const events = fc.array(fc.tuple(fc.constantFrom<unknown>(text, usage, filters, last, '[DONE]', 'é', ''), ends), { maxLength: 12 })
    fc.assert(
      fc.property(events, fc.array(fc.integer({ min: 1, max: 40 })), (said, cuts) => {
        const whole = Buffer.from(said.map(([one, end]) => event(one, end)).join(''), 'latin1').toString('latin1')
        const pieces: string[] = []
        let rest = whole
        for (const cut of cuts) [pieces[pieces.length], rest] = [rest.slice(0, cut), rest.slice(cut)]
        const kept = said.filter(([one]) => one !== usage).map(([one, end]) => event(one, end))
        const became = Buffer.concat(through([...pieces, rest]).pieces).toString('latin1')
        // A CR LF that was cut in two leaves its LF behind: one more empty line, which says nothing.
        const plain = (stream: string) =>
          stream.replaceAll('\r\n', '\n').replaceAll('\r', '\n').replaceAll(/\n+/gu, '\n').replace(/^\n/u, '')
        expect(plain(became)).toBe(plain(kept.join('')))
      }),
      { seed, numRuns: 300 },
    )
  })

  it('is given on as each event ends, however long one is, and to its last byte when it breaks off', () => {
    const to = sinkOf()
    const sink = withoutUsage(to.sink)
    sink.writeHead(200, ['Content-Type', 'text/event-stream'])
    expect(sink.write(Buffer.from(event(text)))).toBe(false)
    expect(to.pieces).toHaveLength(1)
    const long = `data: ${'x'.repeat(70_000)}`
    sink.write(Buffer.from(long))
    expect(Buffer.concat(to.pieces).toString()).toBe(`${event(text)}${long}`)
    sink.write(Buffer.from(`\n\n${event(usage)}data: {"choi`))
    sink.destroy()
    expect(to.became()).toEqual([`${event(text)}${long}\n\ndata: {"choi`, 'destroy'])
  })

  it('has no length that would not be its own, and an answer that is no stream passes as it is', () => {
    expect(through([], ['content-type', 'text/event-stream', 'Content-Length', '10', 'x-a', 'b']).heads).toEqual([
      ['content-type', 'text/event-stream', 'x-a', 'b'],
    ])
    const headers = ['content-type', 'application/json', 'content-length', '10']
    const whole = through([event(usage)], headers)
    expect([whole.heads, whole.became()[0]]).toEqual([[headers], event(usage)])
  })
})

describe('asking for usage', () => {
  const providers = listModelProviders()
  const asks = (asked: object, id = 'openai') =>
    askingForUsage(
      { model: 'm', ...asked },
      providers.find((one) => one.id === id)!,
    )?.['stream_options']

  it('is added to a stream whose caller did not, and beside what else was said of the stream', () => {
    for (const stream_options of [undefined, null, {}, { include_usage: false }, { include_usage: null }])
      expect(asks({ stream: true, stream_options })).toEqual({ include_usage: true })
    expect(asks({ stream: true, stream_options: { include_obfuscation: false } })).toEqual({
      include_usage: true,
      include_obfuscation: false,
    })
  })

  it('is not, where the caller asks, where nothing is streamed, where what is said is the provider’s to refuse, and where the provider says it anyway', () => {
    for (const asked of [
      { stream: true, stream_options: { include_usage: true } },
      { stream: true, stream_options: { include_usage: 1 } },
      { stream: true, stream_options: 'all' },
      { stream: true, stream_options: [] },
      { stream: false },
      {},
    ])
      expect(asks(asked)).toBeUndefined()
    for (const id of ['mistral', 'cohere']) expect(asks({ stream: true }, id)).toBeUndefined()
  })
})
