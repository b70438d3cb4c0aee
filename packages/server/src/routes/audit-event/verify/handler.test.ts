import { describe, expect, it } from 'vitest'
import { newId } from '@sallyport/core'
import type { OrgId } from '@sallyport/core'
import { dataKeyVerify } from '../../data-key/verify/handler.ts'
import { auditVerify } from './handler.ts'

/** A database and a keeper that answer nothing until they are told to. */
function held() {
  const { promise: gate, reject } = Promise.withResolvers<never>()
  let begun = 0
  const wait = (): Promise<never> => {
    begun += 1
    return gate
  }
  const deps = { database: { withTenant: wait }, keeper: { verify: wait } }
  return { deps, begun: () => begun, end: () => reject(new Error('ended by the test')) }
}

type Handler = { handle(call: never): Promise<unknown> }
const principal = { kind: 'key', keyId: newId('key') }

describe.each([
  ['an audit log', auditVerify],
  ["an organization's records", dataKeyVerify],
])('verifying %s', (_what, handler: Handler) => {
  it('reads through an organization once at a time, however often it is asked for', async () => {
    const { deps, begun, end } = held()
    const ask = (org: OrgId) => handler.handle({ deps, ids: { org }, principal } as never)
    const org = newId('org')
    const first = ask(org)
    for (let n = 0; n < 20; n++) await expect(ask(org)).rejects.toMatchObject({ code: 'rate_limited' })
    const other = ask(newId('org'))
    expect(begun()).toBe(2)
    end()
    await expect(Promise.allSettled([first, other])).resolves.toHaveLength(2)
    await expect(ask(org)).rejects.toThrow('ended by the test')
  })
})
