import { EventEmitter } from 'node:events'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { keptAlive, keptHere, tapped } from './sinks.ts'

/** A response that remembers what it was given, and says whether it is full. */
class Sink extends EventEmitter {
  destroyed = false
  writableFinished = false
  flows = true
  readonly written: string[] = []

  writeHead(): void {}

  flushHeaders(): void {}

  write(chunk: Buffer): boolean {
    this.written.push(chunk.toString('latin1'))
    return this.flows
  }

  end(): void {
    this.writableFinished = true
  }

  destroy(): void {
    this.destroyed = true
  }
}

describe('where a caller is sent next', () => {
  const own = 'https://gateway.example/llm/gemini'
  const told = (status: number, headers: string[], isBearer = false): string[] | undefined => {
    let flat: string[] | undefined
    const sink = Object.assign(new Sink(), { writeHead: (_status: number, given: string[]) => void (flat = given) })
    keptHere(sink, { own, isBearer }).writeHead(status, headers)
    return flat
  }

  it.each(['https://elsewhere.example/x', '//elsewhere.example/x', '/\\elsewhere.example/x', '/\t/elsewhere.example/x', 'https://['])(
    'is nowhere else with a gateway key: %j',
    (url) => {
      for (const name of ['operation-location', 'X-Goog-Upload-Url', 'x-goog-upload-control-url', 'azure-asyncoperation'])
        expect(told(200, ['a', 'b', name, url], true)).toEqual(['a', 'b'])
      expect(told(307, ['Location', url, 'a', 'b'])).toEqual(['a', 'b'])
    },
  )

  it.each([`${own}/v1beta/x?y`, '/llm/gemini/x', 'x'])('is where the gateway is: %j', (url) => {
    for (const name of ['operation-location', 'location']) expect(told(302, [name, url])).toEqual([name, url])
  })

  it('may be elsewhere where clients take the key off, or do not go by themselves', () => {
    const elsewhere = ['location', 'https://elsewhere.example/x']
    expect([told(302, elsewhere, true), told(201, elsewhere)]).toEqual([elsewhere, elsewhere])
  })
})

const EVENTS = ['content-type', 'text/event-stream; charset=utf-8']
const COMMENT = ': keepalive\n\n'

describe('comments in the silences of a stream', () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())

  function begin(headers: string[] = EVENTS) {
    const sink = new Sink()
    const kept = keptAlive(sink, 1_000)
    kept.writeHead(200, headers)
    return { sink, say: (text: string) => kept.write(Buffer.from(text, 'latin1')), kept }
  }

  it('come once for each silence of that length, from the head on', () => {
    const { sink, say } = begin()
    vi.advanceTimersByTime(2_500)
    expect(sink.written).toEqual([COMMENT, COMMENT])
    say('data: a\n\n')
    vi.advanceTimersByTime(999)
    expect(sink.written).toHaveLength(3)
    vi.advanceTimersByTime(1)
    expect(sink.written.at(-1)).toBe(COMMENT)
  })

  it.each([
    ['data: a\n\n', true],
    ['data: a\r\n\r\n', true],
    ['data: a\n', false],
    ['data: a\r\n', false],
    ['data: a', false],
    // The second half of a line's end may still come.
    ['data: a\r\n\r', false],
    ['data: a\r\r', false],
    ['\n', true],
    [': comment\n\nda', false],
  ])('come between events alone: after %j %s', (text, comes) => {
    for (const pieces of [[text], text.split('')]) {
      const { sink, say } = begin()
      for (const piece of pieces) say(piece)
      vi.advanceTimersByTime(1_000)
      expect(sink.written.at(-1) === COMMENT).toBe(comes)
    }
  })

  it('come to no reader that is slow, and to none that is gone', () => {
    const { sink, say } = begin()
    sink.flows = false
    say('data: a\n\n')
    vi.advanceTimersByTime(5_000)
    expect(sink.written).toHaveLength(1)
    sink.flows = true
    sink.emit('drain')
    vi.advanceTimersByTime(1_000)
    expect(sink.written).toHaveLength(2)
    sink.emit('close')
    vi.advanceTimersByTime(5_000)
    expect(sink.written).toHaveLength(2)
  })

  it.each(['end', 'destroy'] as const)('end with the stream, by %s', (how) => {
    const { sink, kept } = begin()
    kept[how]()
    vi.advanceTimersByTime(5_000)
    expect([sink.written, vi.getTimerCount()]).toEqual([[], 0])
  })

  it.each([[['content-type', 'application/json']], [[...EVENTS, 'Content-Length', '9']], [[]]])(
    'are not for an answer with %j',
    (headers) => {
      const { sink } = begin(headers)
      vi.advanceTimersByTime(5_000)
      expect(sink.written).toEqual([])
    },
  )
})

describe('the tap', () => {
  it('shows every piece before it passes on, and says what the response says', () => {
    const sink = new Sink()
    const seen: string[] = []
    const response = tapped(sink, { chunk: (bytes) => void seen.push(`${Buffer.from(bytes).toString()} after ${sink.written.length}`) })
    expect(response.write(Buffer.from('a'))).toBe(true)
    sink.flows = false
    expect(response.write(Buffer.from('b'))).toBe(false)
    expect([seen, sink.written]).toEqual([
      ['a after 0', 'b after 1'],
      ['a', 'b'],
    ])
    response.end()
    response.destroy()
    expect([response.writableFinished, response.destroyed]).toEqual([true, true])
  })
})
