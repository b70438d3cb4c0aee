import { describe, expect, it } from 'vitest'
import type { Dispatcher } from 'undici'
import { DEFAULT_EGRESS_POLICY } from './egress.ts'
import { fetchBuffered } from './fetch.ts'
import { forward } from './forward.ts'
import type { ResponseSink, Sender } from './forward.ts'
import { parseApiBase } from './origin.ts'
import { judgePath } from './path.ts'
import { Secret } from '../kernel/index.ts'

/** Stands for a client that lost its connection and puts the request in line again; no socket can be made to cause it at will. */
function repeating(): { dispatcher: Sender; aborted: Error[] } {
  const aborted: Error[] = []
  const dispatch: Sender['dispatch'] = (_options, handler) => {
    const controller: Dispatcher.DispatchController = {
      aborted: false,
      paused: false,
      reason: null,
      pause: () => undefined,
      resume: () => undefined,
      abort: (reason) => {
        aborted.push(reason)
        handler.onResponseError?.(controller, reason)
      },
    }
    handler.onRequestStart?.(controller, null)
    handler.onRequestStart?.(controller, null)
    return true
  }
  return { dispatcher: { dispatch }, aborted }
}

const policy = { ...DEFAULT_EGRESS_POLICY, insecureAllowOrigins: ['http://127.0.0.1:1'] }

/** Stands for a connection that comes about while the process is stopped. */
function connecting(): { dispatcher: Sender; connected: () => void; aborted: Error[] } {
  const aborted: Error[] = []
  let connected: () => void = () => undefined
  const dispatch: Sender['dispatch'] = (_options, handler) => {
    const controller = { aborted: false, paused: false, reason: null, pause: () => undefined, resume: () => undefined }
    const abort = (reason: Error): void => void aborted.push(reason)
    connected = () => handler.onRequestStart?.({ ...controller, abort }, null)
    return true
  }
  return { dispatcher: { dispatch }, connected: () => connected(), aborted }
}

describe('a request that may begin for a while', () => {
  const init = { method: 'POST', body: 'x' } as const

  it('G2 F-25 is not sent after that, and says that no byte of it was', async () => {
    const { dispatcher, connected, aborted } = connecting()
    const answer = fetchBuffered(dispatcher, policy, 'http://127.0.0.1:1/token', { ...init, beginWithinMs: -1 })
    connected()
    await expect(answer).rejects.toMatchObject({ code: 'upstream_timeout', reason: 'begin', sent: false })
    expect(aborted).toHaveLength(1)
  })

  it('is sent within it', async () => {
    const { dispatcher, connected, aborted } = connecting()
    const answer = fetchBuffered(dispatcher, policy, 'http://127.0.0.1:1/token', { ...init, beginWithinMs: 600_000, totalTimeoutMs: 20 })
    connected()
    expect(aborted).toEqual([])
    await expect(answer).rejects.toMatchObject({ code: 'upstream_timeout', reason: 'total', sent: true })
  })

  it('F-22 is not sent after its time is over', async () => {
    const { dispatcher, connected, aborted } = connecting()
    const answer = fetchBuffered(dispatcher, policy, 'http://127.0.0.1:1/token', { ...init, totalTimeoutMs: 1 })
    await expect(answer).rejects.toMatchObject({ code: 'upstream_timeout', reason: 'total', sent: false })
    connected()
    expect(aborted).toHaveLength(1)
  })
})

describe('a request that would be started twice', () => {
  it('F-22 is aborted by fetch before its second sending', async () => {
    const { dispatcher, aborted } = repeating()
    await expect(fetchBuffered(dispatcher, policy, 'http://127.0.0.1:1/token', { method: 'POST', body: 'x' })).rejects.toMatchObject({
      reason: 'repeated',
      sent: true,
    })
    expect(aborted.length).toBeGreaterThan(0)
  })

  it('F-22 is aborted by forward before its second sending', async () => {
    const { dispatcher, aborted } = repeating()
    const sink = {
      destroyed: false,
      writableFinished: false,
      writeHead: () => sink,
      flushHeaders: () => sink,
      write: () => true,
      end: () => sink,
      destroy: () => sink,
      on: () => sink,
    }
    const call = {
      base: { origin: 'http://127.0.0.1:1', basePath: '' },
      method: 'POST',
      path: judgePath('/'),
      headers: [],
      inject: [],
      body: null,
      maxRequestBytes: 1,
      response: sink,
    }
    await expect(forward(dispatcher, policy, call)).rejects.toMatchObject({ reason: 'repeated', sent: true })
    expect(aborted.length).toBeGreaterThan(0)
  })
})

/** Stands for a connection on which an answer comes with one read: all of it is told of before anything else can happen. */
function answering(pieces: readonly string[], end: Error | undefined): Sender {
  return {
    dispatch(_options, handler) {
      const controller = {
        aborted: false,
        paused: false,
        reason: null,
        pause: () => undefined,
        resume: () => undefined,
        abort: () => undefined,
      }
      handler.onRequestStart?.(controller, null)
      setImmediate(() => {
        handler.onResponseStart?.(controller, 200, { 'content-type': 'text/event-stream' }, 'OK')
        for (const piece of pieces) handler.onResponseData?.(controller, Buffer.from(piece))
        if (end === undefined) handler.onResponseEnd?.(controller, {})
        else handler.onResponseError?.(controller, end)
      })
      return true
    },
  }
}

/** What a caller is given, in order. */
function noting(): { response: ResponseSink; given: string[] } {
  const given: string[] = []
  const listeners: Partial<Record<'drain' | 'close', () => void>> = {}
  const response = {
    destroyed: false,
    writableFinished: false,
    writeHead: (status: number) => given.push(`head ${status}`),
    flushHeaders: () => given.push('flush'),
    write: (chunk: Buffer) => given.push(chunk.toString()) > 0,
    end() {
      given.push('end')
      response.writableFinished = true
      listeners.close?.()
    },
    destroy: () => given.push('destroyed'),
    on: (event: 'drain' | 'close', listener: () => void) => (listeners[event] = listener),
  }
  return { response, given }
}

describe('an answer of which many pieces come with one read', () => {
  const base = parseApiBase('http://127.0.0.1:1', policy)
  const call = { base, method: 'GET', path: judgePath('/'), headers: [], inject: [], body: null, maxRequestBytes: 0 }

  it('passes on as one piece, behind its head', async () => {
    const { response, given } = noting()
    const result = await forward(answering(['data: 1\n\n', 'data: 2\n\n', 'data: 3\n\n'], undefined), policy, { ...call, response })
    expect(given).toEqual(['head 200', 'data: 1\n\ndata: 2\n\ndata: 3\n\n', 'end'])
    expect(result).toMatchObject({ bytesIn: 27, bytesOut: 27 })
  })

  it('D-09 gives what came before it was cut, and is cut', async () => {
    const { response, given } = noting()
    const result = await forward(answering(['data: 1\n\n', 'data: 2\n\n'], new Error('cut')), policy, { ...call, response })
    expect(given).toEqual(['head 200', 'data: 1\n\ndata: 2\n\n', 'destroyed'])
    expect(result).toMatchObject({ bytesIn: 18, bytesOut: 18 })
    expect(result.aborted).toBeDefined()
  })

  it('passes a large piece on by itself, and in its place', async () => {
    const { response, given } = noting()
    const large = 'x'.repeat(20_000)
    await forward(answering([large, 'a', 'b', large], undefined), policy, { ...call, response })
    expect(given).toEqual(['head 200', large, `ab${large}`, 'end'])
  })

  it('L-02 has a credential masked that comes in pieces', async () => {
    const { response, given } = noting()
    const inject = [{ kind: 'header', name: 'authorization', value: new Secret('Bearer obviously-not-a-token') }] as const
    const pieces = ['it is obvi', 'ously-not', '-a-token', ', they say']
    await forward(answering(pieces, undefined), policy, { ...call, inject, response })
    expect(given.join('')).toBe(`head 200it is ${'*'.repeat(21)}, they sayend`)
  })
})
