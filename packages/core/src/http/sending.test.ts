import { describe, expect, it } from 'vitest'
import type { Dispatcher } from 'undici'
import { DEFAULT_EGRESS_POLICY } from './egress.ts'
import { fetchBuffered } from './fetch.ts'
import { forward } from './forward.ts'
import type { Sender } from './forward.ts'
import { judgePath } from './path.ts'

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
