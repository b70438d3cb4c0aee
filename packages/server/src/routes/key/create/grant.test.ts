import { expect, it } from 'vitest'
import { SCOPES } from '@sallyport/contract'
import { roleBehind } from './grant.ts'

it('T-10 lets a person give away a scope only with the role that its operations ask of people', () => {
  const admin = ['projects:write', 'integrations:write', 'provider_keys:write', 'model_routes:write']
  expect(SCOPES.map((scope) => [scope, roleBehind(scope)])).toEqual(
    SCOPES.map((scope) => [scope, admin.includes(scope) ? 'ADMIN' : 'DEVELOPER']),
  )
})
