import { describe, expect, it } from 'vitest'
import type { SignIn } from '../db/index.ts'
import { admission, readPolicy } from './sign-in-policy.ts'

const CORP = { issuer: 'https://corp.test', provider: null }
const THROUGH = { issuer: 'https://hub.test', provider: 'sso:1' }

function by(over: Partial<SignIn> = {}): SignIn {
  return {
    issuer: 'https://corp.test',
    methods: [],
    assurance: 'aal1',
    provider: null,
    issuerSession: null,
    authenticatedAt: new Date(),
    ...over,
  }
}

describe('a sign-in policy', () => {
  it('admits everybody where there is none, and whoever came in one of its ways', () => {
    expect(admission(undefined, by({ issuer: 'local' }), false)).toBe('admitted')
    const policy = { ways: [CORP, THROUGH], breakGlass: false }
    expect(admission(policy, by(), false)).toBe('admitted')
    expect(admission(policy, by({ issuer: 'https://hub.test', provider: 'sso:1' }), false)).toBe('admitted')
  })

  it.each([
    ['another issuer', { issuer: 'https://other.test' }],
    ['the issuer with a slash behind it', { issuer: 'https://corp.test/' }],
    ['the issuer in capitals', { issuer: 'https://CORP.test' }],
    ['the issuer, through a provider', { provider: 'sso:1' }],
    ['the hub, without its provider', { issuer: 'https://hub.test' }],
    ['the hub, through another provider', { issuer: 'https://hub.test', provider: 'sso:2' }],
    ['the installation itself', { issuer: 'local', assurance: 'aal2' }],
  ] as const)('J-12 refuses a sign-in by %s', (_name, over) => {
    expect(admission({ ways: [CORP, THROUGH], breakGlass: false }, by(over), true)).toBe('refused')
  })

  it('lets an owner with a second factor in another way only where it says so', () => {
    const other = { issuer: 'https://other.test' } as const
    const policy = { ways: [CORP], breakGlass: true }
    expect(admission(policy, by({ ...other, assurance: 'aal2' }), true)).toBe('break_glass')
    expect(admission(policy, by(other), true)).toBe('refused')
    expect(admission(policy, by({ ...other, assurance: 'aal2' }), false)).toBe('refused')
    expect(admission({ ...policy, breakGlass: false }, by({ ...other, assurance: 'aal2' }), true)).toBe('refused')
  })

  it.each([
    {},
    [],
    'ways',
    { ways: [], break_glass: false },
    { ways: [CORP] },
    { ways: [CORP], break_glass: 'yes' },
    { ways: [{ issuer: 'https://corp.test' }], break_glass: false },
    { ways: [{ issuer: '', provider: null }], break_glass: true },
    { ways: [CORP, null], break_glass: true },
    { ways: [{ issuer: 'https://corp.test', provider: '' }], break_glass: true },
  ])('J-13 that can not be read, as %j, admits nobody', (stored) => {
    const policy = readPolicy(stored)
    expect(policy).toBe('unreadable')
    expect(admission(policy, by({ assurance: 'aal2' }), true)).toBe('refused')
  })

  it('is read as it is stored', () => {
    expect(readPolicy(null)).toBeUndefined()
    expect(readPolicy({ ways: [CORP], break_glass: true })).toEqual({ ways: [CORP], breakGlass: true })
  })
})
