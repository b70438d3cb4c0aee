import { describe, expect, it } from 'vitest'
import { EgressError, judgePath, listModelProviders, newId, Secret, systemClock } from '@sallyport/core'
import type { ForwardCall, ForwardResult } from '@sallyport/core'
import type { KeyPrincipal } from '../identity/index.ts'
import type { KnownKeys } from '../models/index.ts'
import type { MeteredEnd } from '../usage/index.ts'
import { HeldBody } from './held-body.ts'
import type { ModelCall } from './model-call.ts'
import { createModelCalls } from './model-calls.ts'
import type { ModelCallsOptions } from './model-calls.ts'

const KEPT = { id: newId('pkey'), settings: {}, sealed: Buffer.of(1), endsInS: null }
const DONE: ForwardResult = { status: 200, bytesIn: 1, bytesOut: 1, firstByteMs: 1, durationMs: 1 }

/** A way out whose every part says when it was asked. */
function trial(
  parts: { known?: KnownKeys; project?: boolean; use?: () => Promise<void>; forward?: (call: ForwardCall) => Promise<ForwardResult> } = {},
) {
  const steps: string[] = []
  const ends: MeteredEnd[] = []
  const sent: ForwardCall[] = []
  const options: { [Name in keyof ModelCallsOptions]: unknown } = {
    providers: listModelProviders(),
    keptKeys: { of: () => parts.known ?? { mode: 'either', kept: KEPT } },
    vault: {
      openCached: () => {
        steps.push('opened')
        return new Secret('not-a-real-kept-key')
      },
    },
    egress: {
      forward: (call: ForwardCall) => {
        steps.push('sent')
        sent.push(call)
        return parts.forward?.(call) ?? Promise.resolve(DONE)
      },
    },
    origins: { insecureAllowOrigins: [], allowedPorts: [443] },
    shares: {
      enter: () => {
        steps.push('entered')
        return () => steps.push('left')
      },
    },
    guard: {
      admit: () => {
        steps.push('admitted')
        return {
          answered: (status: number) => steps.push(`judged ${status}`),
          failed: (error: EgressError) => steps.push(error.code.startsWith('upstream_timeout') ? `failed ${error.reason}` : 'failed'),
        }
      },
    },
    tokens: { of: () => Promise.reject(new TypeError('no token is wanted')) },
    holding: {},
    useLog: {
      use: () => {
        steps.push('on record')
        return parts.use?.()
      },
    },
    clock: systemClock,
    maxStreamedBytes: 10,
  }
  const principal = {
    kind: 'key',
    keyId: newId('key'),
    org: newId('org'),
    project: parts.project === false ? null : newId('proj'),
    environment: 'test',
    auditUseMode: 'strict',
  } as unknown as KeyPrincipal
  const call = (more: Partial<ModelCall> = {}): ModelCall => ({
    principal,
    request: newId('req'),
    provider: listModelProviders().find(({ id }) => id === 'anthropic')!,
    ownKey: undefined,
    keyName: 'default',
    method: 'POST',
    path: judgePath('/v1/messages'),
    headers: ['content-type', 'application/json'],
    body: new HeldBody(Buffer.from('{}')),
    metering: { answered: () => steps.push('metered'), chunk: () => undefined, end: (end) => void ends.push(end) },
    handing: { response: {} as ForwardCall['response'] },
    ...more,
  })
  return { calls: createModelCalls(options as unknown as ModelCallsOptions), call, steps, ends, sent }
}

describe('a model call on its way out', () => {
  it('is on record before its key is opened, and only then sent', async () => {
    const { calls, call, steps, ends, sent } = trial()
    expect(await calls.send(call())).toBe(DONE)
    expect(steps).toEqual(['entered', 'admitted', 'on record', 'opened', 'sent', 'left'])
    expect(ends).toEqual([{}])
    expect(sent[0]).toMatchObject({
      base: { origin: 'https://api.anthropic.com' },
      headers: ['content-type', 'application/json', 'anthropic-version', '2023-06-01'],
      contentLength: 2,
    })
    expect(sent[0]!.inject.map(({ name, value }) => [name, value.reveal()])).toEqual([['x-api-key', 'not-a-real-kept-key']])
  })

  it('is not sent, and its key not opened, when its use can not be on record', async () => {
    const { calls, call, steps, ends } = trial({ use: () => Promise.reject(new EgressError('upstream_reset', 'stands for the log')) })
    await expect(calls.send(call())).rejects.toThrow()
    expect(steps).toEqual(['entered', 'admitted', 'on record', 'failed', 'left'])
    expect(ends).toEqual([{ error: 'upstream_reset', unsent: true }])
  })

  it('with a caller’s own key opens none that is kept', async () => {
    const { calls, call, steps, sent } = trial()
    await calls.send(call({ ownKey: { secret: new Secret('not-a-real-own-key'), settings: {} } }))
    expect(steps).toEqual(['entered', 'admitted', 'sent', 'left'])
    expect(sent[0]!.inject.map(({ value }) => value.reveal())).toEqual(['not-a-real-own-key'])
  })

  it.each(listModelProviders().filter(({ credential }) => credential === 'key'))(
    'names an account of $id beside a key of the caller’s alone',
    async (provider) => {
      const settings = provider.id === 'azure-openai' ? { resource: 'ours' } : {}
      const { calls, call, sent } = trial({ known: { mode: 'either', kept: { ...KEPT, settings } } })
      const headers = ['openai-organization', 'org-other', 'openai-project', 'proj-other', 'x-goog-user-project', 'other', 'x-kept', '1']
      const own = { secret: new Secret('not-a-real-own-key'), settings }
      await calls.send(call({ provider, headers }))
      await calls.send(call({ provider, headers, ownKey: own }))
      const defaults = Object.entries(provider.defaultHeaders).flat()
      expect(sent.map((one) => one.headers)).toEqual([
        ['x-kept', '1', ...defaults],
        [...headers, ...defaults],
      ])
    },
  )

  it('names no project of Google’s in its query beside a kept key', async () => {
    const { calls, call, steps, ends } = trial()
    const of = { provider: listModelProviders().find(({ id }) => id === 'gemini')!, path: judgePath('/v1beta/models?$userProject=other') }
    await expect(calls.send(call(of))).rejects.toMatchObject({ code: 'bad_request' })
    expect([steps, ends]).toEqual([[], [{ error: 'bad_request', unsent: true }]])
    await calls.send(call({ ...of, ownKey: { secret: new Secret('not-a-real-own-key'), settings: {} } }))
    expect(steps).toContain('sent')
  })

  it.each([
    ['no kept key', { known: { mode: 'either', kept: undefined } }, false, 'provider_key_required'],
    ['no kept key, where no other is taken', { known: { mode: 'vault_only', kept: undefined } }, false, 'provider_key_required'],
    ['a kept key that is not taken', { known: { mode: 'byok_only', kept: KEPT } }, false, 'provider_key_refused'],
    ['no key of the caller’s', { known: { mode: 'byok_only', kept: undefined } }, false, 'provider_key_required'],
    ['a key of the caller’s that is not taken', { known: { mode: 'vault_only', kept: KEPT } }, true, 'provider_key_refused'],
    ['a gateway key of an organization', { project: false }, false, 'insufficient_scope'],
  ] as const)('is refused with %s, before anything else', async (_what, parts, own, code) => {
    const { calls, call, steps, ends } = trial(parts)
    const ownKey = own ? { secret: new Secret('not-a-real-own-key'), settings: {} } : undefined
    await expect(calls.send(call({ ownKey }))).rejects.toMatchObject({ code })
    expect([steps, ends]).toEqual([[], [{ error: code, unsent: true }]])
  })

  it('tells its meter the end once, whatever becomes of it', async () => {
    const cases: [() => Promise<ForwardResult>, MeteredEnd][] = [
      [() => Promise.resolve({ ...DONE, aborted: 'upstream_reset' }), { aborted: 'upstream_reset' }],
      [() => Promise.reject(new EgressError('upstream_unreachable', 'dns', false)), { error: 'upstream_unreachable', unsent: true }],
      [() => Promise.reject(new EgressError('upstream_reset', 'socket', true)), { error: 'upstream_reset' }],
      [() => Promise.reject(new TypeError('of ours')), { error: 'internal' }],
    ]
    for (const [forward, end] of cases) {
      const { calls, call, ends, steps } = trial({ forward })
      await calls.send(call()).catch(() => undefined)
      expect([ends, steps.at(-1)]).toEqual([[end], 'left'])
    }
  })

  it('is judged and metered by its head before anything of it is passed on, and withheld where its maker says so', async () => {
    const wanted: unknown[] = []
    const { calls, call, steps } = trial({
      forward: (out) => {
        wanted.push(out.again?.(429, {}), out.again?.(200, {}))
        return Promise.resolve({ ...DONE, withheld: true })
      },
    })
    expect(await calls.send(call({ withhold: (status) => status === 429 }))).toMatchObject({ withheld: true })
    expect(wanted).toEqual(['withhold', undefined])
    expect(steps.slice(-4)).toEqual(['metered', 'metered', 'judged 200', 'left'])
  })

  /** Ends as `end` says once `signal` is aborted, after so much of an answer. */
  const ended = (signal: AbortSignal, { head, bytes }: { head?: number; bytes?: string }) => ({
    forward: (out: ForwardCall) => {
      if (head !== undefined) out.again?.(head, {})
      if (bytes !== undefined) out.response.write(Buffer.from(bytes))
      return new Promise<ForwardResult>((resolve, reject) => {
        const gone = new EgressError('client_gone', 'connection', true)
        signal.addEventListener('abort', () => (head === undefined ? reject(gone) : resolve({ ...DONE, aborted: 'client_gone' })))
      })
    },
  })
  const LATE = new EgressError('upstream_timeout', 'first byte', true)

  it.each([
    ['never answers, when its time is over', {}, LATE, 'failed first byte'],
    ['says 200 and nothing more, when its time is over', { head: 200 }, LATE, 'failed first byte'],
    ['never answers, when the caller goes', {}, undefined, 'failed'],
    ['says 200 and nothing more, when the caller goes', { head: 200 }, undefined, 'failed'],
    ['has begun to answer, when the caller goes', { head: 200, bytes: 'x' }, undefined, 'judged 200'],
    ['says 500, when the caller goes', { head: 500 }, undefined, 'judged 500'],
  ])('to a provider that %s is judged as what it is', async (_what, answer, reason, first) => {
    const ending = new AbortController()
    const { calls, call, steps } = trial(ended(ending.signal, answer))
    const response = { write: () => true } as unknown as ForwardCall['response']
    const sent = calls.send(call({ signal: ending.signal, handing: { response } })).catch(() => undefined)
    await expect.poll(() => steps).toContain('sent')
    ending.abort(reason)
    await sent
    expect(steps.find((step) => step.startsWith('judged') || step.startsWith('failed'))).toBe(first)
  })

  it('that could not leave in its time is not the provider’s fault', async () => {
    const ending = new AbortController()
    const { calls, call, steps } = trial({
      use: () => Promise.resolve(ending.abort(LATE)),
      forward: () => Promise.reject(new EgressError('client_gone', 'connection')),
    })
    await expect(calls.send(call({ signal: ending.signal }))).rejects.toMatchObject({ code: 'client_gone' })
    expect(steps).toContain('failed')
  })
})
