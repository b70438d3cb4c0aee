import { describe, expect, it, vi } from 'vitest'
import type { ResponseSink } from '@sallyport/core'
import { AttemptAnswer } from './attempt-answer.ts'
import type { Seen, Verdict } from './attempt-answer.ts'

/** What a caller got, and how its connection behaves. */
class Caller implements ResponseSink {
  readonly got: string[] = []
  readonly listeners: [string, () => void][] = []
  destroyed = false
  writableFinished = false
  hasRoom = true

  writeHead(status: number, headers: string[]): void {
    this.got.push(`${status} ${headers.join(' ')}`)
  }
  flushHeaders(): void {
    this.got.push('flushed')
  }
  write(chunk: Buffer): boolean {
    this.got.push(chunk.toString())
    return this.hasRoom
  }
  end(): void {
    this.got.push('end')
    this.writableFinished = true
    this.tell('close')
  }
  destroy(): void {
    this.destroyed = true
    this.tell('close')
  }
  on(event: 'drain' | 'close', listener: () => void): void {
    this.listeners.push([event, listener])
  }
  tell(event: 'drain' | 'close'): void {
    for (const [name, listener] of this.listeners) if (name === event) listener()
  }
}

function attempt(verdict: Verdict, look: (piece: Buffer) => Seen = () => 'answer') {
  const caller = new Caller()
  const heard: string[] = []
  const answer = new AttemptAnswer({
    judge: () => verdict,
    look,
    giveUp: () => heard.push('given up'),
    serve(status, headers) {
      caller.writeHead(status, [...headers, 'x-served', 'yes'])
      return caller
    },
  })
  for (const event of ['drain', 'close'] as const) answer.on(event, () => heard.push(event))
  return { caller, heard, answer }
}

describe('the answer of an attempt', () => {
  it('that is the caller’s goes on at once, piece by piece, and with the caller’s own pace', () => {
    const { caller, heard, answer } = attempt('serve')
    answer.writeHead(200, ['a', 'b'])
    answer.flushHeaders()
    expect([caller.got, answer.served]).toEqual([['200 a b x-served yes', 'flushed'], true])
    caller.hasRoom = false
    expect(answer.write(Buffer.from('one'))).toBe(false)
    caller.tell('drain')
    answer.end()
    expect([caller.got.slice(2), heard, answer.writableFinished]).toEqual([['one', 'end'], ['drain', 'close'], true])
  })

  it('that is held is nobody’s until its first byte', () => {
    const { caller, answer } = attempt('hold')
    answer.writeHead(200, [])
    answer.flushHeaders()
    expect([caller.got, answer.served]).toEqual([[], false])
    answer.write(Buffer.from('one'))
    expect(caller.got).toEqual(['200 x-served yes', 'one'])
  })

  it('that is held goes on whole once enough of it is seen', () => {
    const { caller, answer } = attempt('hold', (piece) => (piece.toString() === 'two' ? 'answer' : 'more'))
    answer.writeHead(200, [])
    answer.write(Buffer.from('one'))
    expect([caller.got, answer.served]).toEqual([[], false])
    for (const piece of ['two', 'three']) answer.write(Buffer.from(piece))
    answer.end()
    expect(caller.got).toEqual(['200 x-served yes', 'onetwo', 'three', 'end'])
  })

  it('that is held and ends before enough is seen, or is longer than that, goes on all the same', () => {
    for (const size of [3, 65 * 1024]) {
      const { caller, answer } = attempt('hold', () => 'more')
      answer.writeHead(200, [])
      answer.write(Buffer.alloc(size, 'x'))
      expect(answer.served).toBe(size > 3)
      answer.end()
      expect(caller.got.map((said) => said.length)).toEqual([16, size, 3])
    }
  })

  it('that is held and turns out to be a failure is kept with what says so, and nothing more of it is waited for', () => {
    const { caller, heard, answer } = attempt('hold', (piece) => (piece.toString() === 'busy' ? { failure: 503 } : 'more'))
    answer.writeHead(200, ['a', 'b'])
    answer.write(Buffer.from('I am '))
    answer.write(Buffer.from('busy'))
    expect(heard).toEqual(['given up'])
    answer.destroy()
    expect([caller.got, answer.served, answer.failure]).toEqual([[], false, 503])
    expect(answer.kept).toEqual({ status: 200, headers: ['a', 'b'], body: Buffer.from('I am busy') })
  })

  it('that is held and has no body is the caller’s with its end', () => {
    const { caller, answer } = attempt('hold')
    answer.writeHead(204, [])
    answer.end()
    expect(caller.got).toEqual(['204 x-served yes', 'end'])
  })

  it('that is held, says 200 and ends with nothing is none', () => {
    const { caller, heard, answer } = attempt('hold')
    answer.writeHead(200, ['a', 'b'])
    answer.end()
    expect([caller.got, heard, answer.served, answer.failure, answer.writableFinished]).toEqual([[], ['close'], false, 502, true])
    expect(answer.kept).toEqual({ status: 200, headers: ['a', 'b'], body: Buffer.alloc(0) })
  })

  it('that breaks off while it is held leaves nothing behind at the caller', () => {
    const { caller, answer } = attempt('hold')
    answer.writeHead(200, [])
    answer.destroy()
    expect([caller.got, caller.destroyed, answer.served, answer.destroyed, answer.kept]).toEqual([[], false, false, true, undefined])
  })

  it('that breaks off when it is the caller’s breaks off there', () => {
    const { caller, answer } = attempt('serve')
    answer.writeHead(200, [])
    answer.destroy()
    expect([caller.destroyed, answer.writableFinished]).toEqual([true, false])
  })

  it('that is kept is there when it is whole, and the caller hears nothing of it', () => {
    const { caller, heard, answer } = attempt('keep')
    answer.writeHead(429, ['retry-after', '7'])
    answer.write(Buffer.from('slow '))
    answer.write(Buffer.from('down'))
    expect(answer.kept).toBeUndefined()
    answer.end()
    expect(answer.kept).toEqual({ status: 429, headers: ['retry-after', '7'], body: Buffer.from('slow down') })
    expect([caller.got, heard, answer.writableFinished]).toEqual([[], ['close'], true])
  })

  it('that is kept and larger than a refusal needs is let go of but for its head', () => {
    const { heard, answer } = attempt('keep')
    answer.writeHead(429, ['retry-after', '7'])
    answer.write(Buffer.alloc(64 * 1024))
    expect(answer.destroyed).toBe(false)
    answer.write(Buffer.alloc(1))
    expect(answer.destroyed).toBe(true)
    answer.end()
    expect([answer.kept, heard, answer.writableFinished]).toEqual([
      { status: 429, headers: ['retry-after', '7'], body: undefined },
      ['given up', 'close'],
      false,
    ])
  })

  it('that is kept and breaks off is there by its head', () => {
    const { caller, answer } = attempt('keep')
    answer.writeHead(503, ['retry-after', '7'])
    answer.write(Buffer.from('bu'))
    answer.destroy()
    expect([answer.kept, caller.got]).toEqual([{ status: 503, headers: ['retry-after', '7'], body: undefined }, []])
  })

  it('that is kept is waited for a moment, and given up after it', () => {
    vi.useFakeTimers()
    try {
      const { heard, answer } = attempt('keep')
      answer.writeHead(503, [])
      vi.advanceTimersByTime(1_999)
      expect(heard).toEqual([])
      vi.advanceTimersByTime(1)
      expect(heard).toEqual(['given up'])
      for (const end of ['end', 'destroy'] as const) {
        const other = attempt('keep')
        other.answer.writeHead(503, [])
        other.answer[end]()
        vi.advanceTimersByTime(10_000)
        expect(other.heard).not.toContain('given up')
      }
    } finally {
      vi.useRealTimers()
    }
  })
})
