import { EventEmitter } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { describe, expect, it } from 'vitest'
import { operations } from '@sallyport/contract'
import type { Operation } from '@sallyport/contract'
import { REFUSED_KEY } from '../identity/index.ts'
import { trustedProxies } from './client-address.ts'
import { createKeyDoor } from './key-door.ts'

/** A door that memory refuses every key at; what it asked, and what it said. */
function trial(url: string, rawHeaders: readonly string[], judged: unknown = REFUSED_KEY, method = 'GET') {
  const asked: string[] = []
  const said: { status?: number; text?: string } = {}
  const options = {
    keys: {
      judge: (text: string, address: () => string) => {
        asked.push(text, address())
        return judged
      },
    },
    trustedProxies: trustedProxies([]),
    sessionCookie: 'sallyport_session',
    headers: {},
    logger: { debug: () => undefined },
  }
  const response = Object.assign(new EventEmitter(), {
    req: { method: 'GET' },
    headersSent: false,
    writeHead: (status: number) => void (said.status = status),
    end: (text: string) => void (said.text = text),
  })
  const request = { url, method, rawHeaders, headers: {}, complete: false, socket: { remoteAddress: '192.0.2.7' } }
  const door = createKeyDoor(options as unknown as Parameters<typeof createKeyDoor>[0])
  const taken = door(request as unknown as IncomingMessage, response as unknown as ServerResponse)
  return { taken, asked, said }
}

const BAD = ['Authorization', 'Bearer not-a-real-key']

describe('a bad key at the control plane', () => {
  it('D-01 is answered before anything is made of its request, and counted by its address', () => {
    const { taken, asked, said } = trial('/api/v1/whoami', BAD)
    expect([taken, asked, said.status]).toEqual([true, ['not-a-real-key', '192.0.2.7'], 401])
    expect(JSON.parse(said.text!)).toMatchObject({ code: 'unauthenticated' })
  })

  it.each([
    ['memory can’t tell', '/api/v1/whoami', BAD, null],
    ['memory knows its caller', '/api/v1/whoami', BAD, { kind: 'key' }],
  ])('is the guard’s to judge where %s', (_what, url, headers, judged) => {
    expect(trial(url, headers, judged)).toMatchObject({ taken: false, asked: ['not-a-real-key', '192.0.2.7'], said: {} })
  })

  it.each([
    ['another path', '/console/', BAD],
    ['a path of nothing', '/api/v1/nothing', BAD],
    ['no credential', '/api/v1/whoami', []],
    ['two of them', '/api/v1/whoami', [...BAD, ...BAD]],
    ['a session', '/api/v1/whoami', ['Cookie', 'sallyport_session=x']],
    ['an issuer’s token', '/api/v1/whoami', ['Authorization', 'Bearer eyJhbGciOiJFUzI1NiJ9.e30.c2ln']],
  ])('is not asked about with %s', (_what, url, headers) => {
    expect(trial(url, headers)).toMatchObject({ taken: false, asked: [], said: {} })
  })

  it('is refused at every operation that reads a credential', () => {
    const reading = Object.values<Operation>(operations).filter(({ access }) => access.audience !== 'public')
    for (const { path, method } of reading)
      expect(trial(`${path.replaceAll(/\{\w+\}/gu, 'x')}?a=b`, BAD, REFUSED_KEY, method)).toMatchObject({
        taken: true,
        said: { status: 401 },
      })
  })

  it('is none where no credential is read', () => {
    const open = Object.values<Operation>(operations).filter(({ access }) => access.audience === 'public')
    expect(open.length).toBeGreaterThan(0)
    for (const { path, method } of open)
      expect(trial(`${path.replaceAll(/\{\w+\}/gu, 'x')}?a=b`, BAD, REFUSED_KEY, method)).toMatchObject({ taken: false, asked: [] })
    expect(trial('/api/v1/whoami', BAD, REFUSED_KEY, 'DELETE')).toMatchObject({ taken: false, asked: [] })
  })
})
