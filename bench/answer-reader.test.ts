import { describe, expect, it } from 'vitest'
import { AnswerReader } from './answer-reader.ts'
import type { Answer } from './answer-reader.ts'

const WITH_LENGTH = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nx: y\r\n\r\nhello'
const EMPTY = 'HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n'
const CHUNKED = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n'

function read(text: string, pieceBytes: number): { answers: Answer[]; starts: number } {
  const answers: Answer[] = []
  let starts = 0
  const reader = new AnswerReader(
    (answer) => answers.push(answer),
    () => {
      starts += 1
    },
  )
  const bytes = Buffer.from(text)
  for (let at = 0; at < bytes.length; at += pieceBytes) reader.take(bytes.subarray(at, at + pieceBytes))
  return { answers, starts }
}

describe('reading answers', () => {
  it.each([1, 2, 3, 7, 50, 1000])('finds every answer in pieces of %i bytes, and counts bodies without their framing', (pieceBytes) => {
    const { answers, starts } = read(WITH_LENGTH + EMPTY + CHUNKED + WITH_LENGTH, pieceBytes)
    expect(answers).toEqual([
      { status: 200, bytes: 5 },
      { status: 404, bytes: 0 },
      { status: 200, bytes: 13 },
      { status: 200, bytes: 5 },
    ])
    expect(starts).toBeGreaterThanOrEqual(3)
  })

  it('takes a cut answer for none', () => {
    expect(read(WITH_LENGTH.slice(0, -1), 10).answers).toEqual([])
    expect(read(CHUNKED.slice(0, -2), 10).answers).toEqual([])
  })

  it('refuses what it can not tell the end of', () => {
    expect(() => read('HTTP/1.1 200 OK\r\n\r\nbody', 100)).toThrow('without length')
    expect(() => read('SSH-2.0-server\r\n\r\n', 100)).toThrow('no HTTP')
    expect(() => read('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n', 100)).toThrow('without a size')
  })
})
