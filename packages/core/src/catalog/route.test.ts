import { describe, expect, it } from 'vitest'
import { listProviders } from './catalog.ts'
import { providerRoute } from './route.ts'

const policy = { allowedPorts: [443], insecureAllowOrigins: [] }
const record = (id: string) => listProviders().find((one) => one.id === id)!
const ruled = (base: string, rules?: { methods: ('GET' | 'POST')[]; pathPrefix: string }[]) =>
  providerRoute({ api: { ...record('github').api, base, ...(rules && { rules }) } }, policy)

describe('the rules of a record', () => {
  const route = ruled('https://api.example.com', [{ methods: ['GET'], pathPrefix: '/open' }])

  it.each([
    ['GET', '/open', true],
    ['GET', '/open/a?b=c', true],
    ['POST', '/open', false],
    ['GET', '/opened', false],
    ['GET', '/open?_method=DELETE', false],
    ['GET', '/open?%24httpMethod=DELETE', false],
    ['GET', '/open?x-http-method-override=DELETE', false],
  ])('S-18 hold for what the server would see: %s %s', (method, path, out) => {
    expect(route.allows(method, path)).toBe(out)
  })

  it('S-18 of any record at Google take no query that names another method, and others without rules pass it on', () => {
    expect(providerRoute(record('google'), policy).allows('GET', '/drive/v3/files/x?$httpMethod=DELETE')).toBe(false)
    expect(providerRoute(record('google'), policy).allows('GET', '/drive/v3/files/x?$fields=id')).toBe(true)
    for (const base of ['https://gmail.googleapis.com', 'https://googleapis.com/a'])
      expect(ruled(base).allows('GET', '/x?$httpMethod=DELETE')).toBe(false)
    for (const base of ['https://notgoogleapis.com', 'https://googleapis.com.example.com'])
      expect(ruled(base).allows('GET', '/x?$httpMethod=DELETE')).toBe(true)
  })
})
