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
