import { describe, expect, it } from 'vitest'
import { listModelProviders, translationFor } from '@sallyport/core'
import type { ResponseSink } from '@sallyport/core'
import { TranslatedAnswer } from './translated-answer.ts'

const anthropic = listModelProviders().find(({ id }) => id === 'anthropic')!

const ENOUGH = { enter: (_bytes: number): boolean => true, leave: (_bytes: number): void => undefined }

class Caller implements ResponseSink {
  status = 0
  headers: Record<string, string> = {}
  body = ''
  ends = 0
  abandoned = 0
  hasRoom = true
  destroyed = false
  writableFinished = false
  writeHead(status: number, flat: string[]): void {
    this.status = status
    this.headers = Object.fromEntries(Array.from({ length: flat.length / 2 }, (_, at) => [flat[2 * at]!, flat[2 * at + 1]!]))
  }
  flushHeaders(): void {}
  write(chunk: Buffer): boolean {
    this.body += chunk.toString()
    return this.hasRoom
  }
  end(): void {
    this.ends += 1
    this.writableFinished = true
  }
  destroy(): void {
    this.destroyed = true
  }
  readonly #closed: (() => void)[] = []
  on(event: 'drain' | 'close', listener: () => void): void {
    if (event === 'close') this.#closed.push(listener)
  }
  close(): void {
    for (const listener of this.#closed) listener()
  }
}

function answering(more: { stream?: boolean; most?: number; room?: typeof ENOUGH } = {}) {
  const caller = new Caller()
  const { stream = false, most = 1_000, room = ENOUGH } = more
  const asked = { model: 'claude', messages: [{ role: 'user', content: 'hello' }], stream }
  const translation = translationFor(anthropic, { operation: 'chat' })
  const abandon = (): void => void (caller.abandoned += 1)
  return { caller, answer: new TranslatedAnswer(caller, { translation, operation: 'chat', asked, most, room, abandon }) }
}
const event = (data: { readonly type: string; readonly [more: string]: unknown }): Buffer =>
  Buffer.from(`event: ${data.type}\ndata: ${JSON.stringify(data)}\n\n`)
const START = event({
  type: 'message_start',
  message: { id: 'msg_1', type: 'message', role: 'assistant', model: 'claude', content: [], usage: { input_tokens: 1, output_tokens: 1 } },
})
const TEXT = event({ type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'hi' } })
const BLOCK = event({ type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } })
const END = Buffer.concat([
  event({ type: 'content_block_stop', index: 0 }),
  event({ type: 'message_delta', delta: { stop_reason: 'end_turn' }, usage: { output_tokens: 2 } }),
  event({ type: 'message_stop' }),
])
const MESSAGE = {
  id: 'msg_1',
  type: 'message',
  role: 'assistant',
  model: 'claude',
  content: [{ type: 'text', text: 'hi' }],
  stop_reason: 'end_turn',
  usage: { input_tokens: 3, output_tokens: 2 },
}

describe('an answer that is translated', () => {
  it('in one piece is OpenAI’s, with what is not about the vendor’s body', () => {
    const { caller, answer } = answering()
    answer.writeHead(200, ['content-type', 'application/json', 'content-length', '1', 'etag', '"x"', 'request-id', 'req_vendor'])
    for (const byte of Buffer.from(JSON.stringify(MESSAGE))) answer.write(Buffer.of(byte))
    answer.end()
    expect(JSON.parse(caller.body)).toMatchObject({
      object: 'chat.completion',
      choices: [{ message: { content: 'hi' }, finish_reason: 'stop' }],
    })
    expect([caller.status, caller.ends, caller.headers]).toEqual([
      200,
      1,
      { 'request-id': 'req_vendor', 'content-type': 'application/json; charset=utf-8', 'content-length': String(caller.body.length) },
    ])
  })

  it('of a failure keeps its status and when to come back', () => {
    const { caller, answer } = answering({ stream: true })
    answer.writeHead(429, ['retry-after', '7', 'content-type', 'application/json'])
    answer.write(Buffer.from(JSON.stringify({ type: 'error', error: { type: 'rate_limit_error', message: 'slow down' } })))
    answer.end()
    expect([caller.status, caller.headers['retry-after'], JSON.parse(caller.body)]).toMatchObject([
      429,
      '7',
      { error: { message: 'slow down' } },
    ])
  })

  it('that is no JSON is an error of OpenAI’s form', () => {
    const { caller, answer } = answering()
    answer.writeHead(200, ['content-type', 'text/html'])
    answer.write(Buffer.from('<html>'))
    answer.end()
    expect([caller.status, JSON.parse(caller.body), caller.body]).toMatchObject([502, { error: {} }, expect.not.stringContaining('html>')])
  })

  it('that is nested too deeply to be written again is an error of OpenAI’s form, with its own status', () => {
    const caller = new Caller()
    const asked = { model: 'm', input: 'hello' }
    const translation = translationFor({ ...anthropic, paths: { chat: '/chat/completions' } }, { operation: 'responses' })
    const answer = new TranslatedAnswer(caller, {
      translation,
      operation: 'responses',
      asked,
      most: 100_000,
      room: ENOUGH,
      abandon: () => undefined,
    })
    answer.writeHead(400, ['content-type', 'application/json'])
    answer.write(Buffer.from(`{"error":{"message":"no","more":${'['.repeat(20_000)}${']'.repeat(20_000)}}}`))
    answer.end()
    expect([caller.status, caller.ends, JSON.parse(caller.body)]).toMatchObject([400, 1, { error: { type: 'invalid_request_error' } }])
  })

  it('that is larger than its bound is an error, once, and the rest is not waited for', () => {
    const { caller, answer } = answering({ most: 10 })
    answer.writeHead(200, [])
    for (let pieces = 0; pieces < 5; pieces++) answer.write(Buffer.alloc(8))
    answer.end()
    expect([caller.status, caller.ends, caller.abandoned]).toEqual([502, 1, 1])
  })

  it('for which there is no room is an error, and one that had room gives it back once its caller has it', () => {
    let free = 500
    const room = {
      enter: (bytes: number) => bytes <= free && (free -= bytes) >= 0,
      leave: (bytes: number) => void (free += bytes),
    }
    const [first, second] = [answering({ room }), answering({ room })]
    for (const { answer } of [first, second]) {
      answer.writeHead(200, [])
      answer.write(Buffer.from(JSON.stringify(MESSAGE).padEnd(300)))
      answer.end()
    }
    expect([first.caller.status, second.caller.status, second.caller.abandoned, free]).toEqual([200, 503, 1, 200])
    for (const { caller } of [first, second]) caller.close()
    expect(free).toBe(500)
  })

  it('in events goes on event by event, and says that it is done', () => {
    const { caller, answer } = answering({ stream: true })
    answer.writeHead(200, ['content-type', 'text/event-stream'])
    answer.write(Buffer.concat([START, BLOCK]))
    answer.write(TEXT)
    expect(caller.body).toContain('"content":"hi"')
    expect(caller.ends).toBe(0)
    answer.write(END)
    answer.end()
    expect([caller.body.endsWith('data: [DONE]\n\n'), caller.ends, caller.abandoned]).toEqual([true, 1, 0])
    expect(caller.headers['content-type']).toBe('text/event-stream; charset=utf-8')
  })

  it('goes at the caller’s pace', () => {
    const { caller, answer } = answering({ stream: true })
    answer.writeHead(200, [])
    caller.hasRoom = false
    expect([answer.write(Buffer.concat([START, BLOCK, TEXT])), answer.write(Buffer.from(': nothing\n'))]).toEqual([false, true])
  })

  it.each(['end', 'destroy'] as const)('in events that ended in the middle says so, and not that it is done (%s)', (way) => {
    const { caller, answer } = answering({ stream: true })
    answer.writeHead(200, [])
    answer.write(Buffer.concat([START, BLOCK, TEXT]))
    answer[way]()
    expect([caller.body.includes('"error"'), caller.body.includes('[DONE]'), caller.ends, caller.destroyed]).toEqual([
      true,
      false,
      1,
      false,
    ])
  })

  it('in events of which one is a failure ends with it, whatever the vendor still sends', () => {
    const { caller, answer } = answering({ stream: true })
    answer.writeHead(200, [])
    answer.write(Buffer.concat([START, BLOCK, TEXT, event({ type: 'error', error: { type: 'overloaded_error', message: 'busy' } })]))
    const said = caller.body
    answer.write(TEXT)
    answer.end()
    expect([said.includes('"error"'), caller.body === said, caller.ends, caller.abandoned]).toEqual([true, true, 1, 1])
  })

  it('that broke off before its end is an error where nothing was said yet', () => {
    const { caller, answer } = answering()
    answer.writeHead(200, [])
    answer.write(Buffer.from('{"id":'))
    answer.destroy()
    expect([caller.status, JSON.parse(caller.body)]).toMatchObject([502, { error: {} }])
  })
})
