import { describe, expect, it } from 'vitest'
import { operations, ROLE_CONTAINS, ROLES, SCOPES } from '@sallyport/contract'
import type { Role, RouteAccess, Scope } from '@sallyport/contract'
import { newId } from '@sallyport/core'
import type { KeyPrincipal, PersonPrincipal } from '../identity/index.ts'
import { decide, roleContains } from './decide.ts'
import type { AccessPlace } from './decide.ts'

/** Milliseconds since 1970. */
const NOW = 1_800_000_000_000
const org = newId('org')
const otherOrg = newId('org')
const project = newId('proj')
const otherProject = newId('proj')

function key(scopes: readonly Scope[], at: Partial<KeyPrincipal> = {}): KeyPrincipal {
  return {
    kind: 'key',
    keyId: newId('key'),
    org,
    project,
    environment: 'live',
    scopes: new Set(scopes),
    connection: null,
    auditUseMode: 'batched',
    bounds: null,
    ...at,
  }
}

function person(...memberships: [typeof org, Role][]): PersonPrincipal {
  return {
    kind: 'person',
    userId: newId('user'),
    name: 'P',
    email: null,
    via: 'session',
    sessionHash: Buffer.alloc(32),
    signIn: {
      issuer: 'https://issuer.test',
      methods: ['pwd', 'otp'],
      assurance: 'aal2',
      provider: null,
      issuerSession: null,
      authenticatedAt: new Date(NOW),
    },
    memberships: new Map(memberships),
    signInPolicies: new Map(),
  }
}

function access(over: Partial<RouteAccess> = {}): RouteAccess {
  return { audience: 'tenant', tenant: 'environment', audit: 'none', bodyLimit: 0, ...over }
}

/** The place that `tenant` makes a path name. */
function placeFor(tenant: RouteAccess['tenant'], at: Required<AccessPlace>): AccessPlace {
  if (tenant === 'none') return {}
  if (tenant === 'org') return { org: at.org }
  return tenant === 'project' ? { org: at.org, project: at.project } : at
}

const HERE = { org, project, environment: 'live' } as const
const code = (principal: Parameters<typeof decide>[0], its: RouteAccess, at: AccessPlace, now = NOW) => {
  const decision = decide(principal, its, at, { now, maxAgeS: 3_600 })
  return decision.allowed ? 'allowed' : decision.code
}

const LEVELS = ['org', 'project', 'environment'] as const
const ROUTES = Object.entries(operations).map(([name, operation]) => ({ name, access: operation.access as RouteAccess }))

describe('decide', () => {
  it('T-07 lets exactly the roles use a route that contain the declared one, on every tenant level', () => {
    for (const tenant of LEVELS)
      for (const held of ROLES)
        for (const needed of ROLES) {
          const expected = ROLE_CONTAINS[held].includes(needed) ? 'allowed' : 'forbidden'
          const label = `${held} on ${needed} at ${tenant}`
          expect(code(person([org, held]), access({ role: needed, tenant }), placeFor(tenant, HERE)), label).toBe(expected)
        }
  })

  it('T-09 lets a key with one scope use the routes of that scope and no other, on every tenant level', () => {
    for (const tenant of LEVELS)
      for (const held of SCOPES)
        for (const needed of SCOPES) {
          const expected = held === needed ? 'allowed' : 'insufficient_scope'
          const ofProject = tenant === 'org' ? 'forbidden' : expected
          const label = `${held} on ${needed} at ${tenant}`
          expect(code(key([held]), access({ scope: needed, tenant }), placeFor(tenant, HERE)), label).toBe(ofProject)
          expect(code(key([held], { project: null }), access({ scope: needed, tenant }), placeFor(tenant, HERE)), label).toBe(expected)
        }
  })

  it('T-07 holds for every operation of the contract with every role and every scope', () => {
    expect(ROUTES.length).toBeGreaterThan(15)
    for (const route of ROUTES.filter(({ access }) => access.audience === 'tenant')) {
      const at = placeFor(route.access.tenant, HERE)
      for (const role of ROLES) {
        const may = route.access.role !== undefined && ROLE_CONTAINS[role].includes(route.access.role)
        expect(code(person([org, role]), route.access, at), `${role} ${route.name}`).toBe(may ? 'allowed' : 'forbidden')
      }
      for (const scope of SCOPES) {
        const expected = route.access.scope === undefined ? 'forbidden' : route.access.scope === scope ? 'allowed' : 'insufficient_scope'
        const ofProject = route.access.tenant === 'org' ? 'forbidden' : expected
        expect(code(key([scope]), route.access, at), `${scope} ${route.name}`).toBe(ofProject)
        expect(code(key([scope], { project: null }), route.access, at), `${scope} ${route.name}`).toBe(expected)
      }
    }
  })

  it('T-11 keeps VIEWER from everything that changes something, and BILLING from all of it but what calls may cost', () => {
    // Going changes nobody but who goes.
    const ownAffairs = new Set(['organizationLeave'])
    const money = new Set(['usageExport', 'budgetCreate', 'budgetUpdate', 'budgetDelete'])
    const changing = ROUTES.filter(({ name, access }) => access.audience === 'tenant' && access.audit !== 'none' && !ownAffairs.has(name))
    expect(changing.length).toBeGreaterThan(money.size + 3)
    expect(changing.map(({ name }) => name)).toEqual(expect.arrayContaining([...money]))
    for (const route of changing)
      for (const role of ['VIEWER', 'BILLING'] as const) {
        const may = role === 'BILLING' && money.has(route.name)
        const said = code(person([org, role]), route.access, placeFor(route.access.tenant, HERE))
        expect(said, `${role} ${route.name}`).toBe(may ? 'allowed' : 'forbidden')
      }
  })

  it('T-01 gives every caller of another organization the answer that absence gives, whatever it holds', () => {
    const strangers = [key(SCOPES, { org: otherOrg }), person([otherOrg, 'OWNER']), person()]
    for (const route of ROUTES.filter(({ access }) => access.audience === 'tenant'))
      for (const stranger of strangers) {
        expect(code(stranger, route.access, placeFor(route.access.tenant, HERE)), route.name).toBe('not_found')
      }
  })

  it('shows an organization on its way out by the routes that are about that, to the role they name, and by no other', () => {
    const leaving = (role: Role): PersonPrincipal => ({ ...person(), closing: new Map([[org, role]]) })
    for (const route of ROUTES.filter(({ access }) => access.audience === 'tenant')) {
      const expected = route.access.whileClosing === true ? 'allowed' : 'not_found'
      expect(code(leaving('OWNER'), route.access, placeFor(route.access.tenant, HERE)), route.name).toBe(expected)
    }
    const about = ROUTES.filter(({ access }) => access.whileClosing === true)
    expect(about.map(({ name }) => name)).toEqual(['organizationDeletionGet', 'organizationDeletionCancel'])
    for (const { access } of about) expect(code(leaving('ADMIN'), access, HERE)).toBe('forbidden')
  })

  it('T-04 gives a key another project of its own organization as absent, even in its own environment', () => {
    for (const tenant of ['project', 'environment'] as const)
      for (const scopes of [SCOPES, []]) {
        const at = placeFor(tenant, { org, project: otherProject, environment: 'live' })
        expect(code(key(scopes), access({ scope: 'keys:read', tenant }), at)).toBe('not_found')
      }
  })

  it('T-04 judges the organization, the project and the environment in every mix', () => {
    const caller = key(['keys:read'])
    for (const orgAt of [org, otherOrg])
      for (const projectAt of [project, otherProject])
        for (const environment of ['live', 'test'] as const) {
          const own = orgAt === org && projectAt === project
          const expected = !own ? 'not_found' : environment === 'live' ? 'allowed' : 'environment_mismatch'
          expect(code(caller, access({ scope: 'keys:read' }), { org: orgAt, project: projectAt, environment })).toBe(expected)
        }
  })

  it('K-13 holds a key to its environment in both directions', () => {
    const declared = access({ scope: 'keys:read' })
    expect(code(key(['keys:read'], { environment: 'test' }), declared, { ...HERE, environment: 'live' })).toBe('environment_mismatch')
    expect(code(key(['keys:read'], { environment: 'live' }), declared, { ...HERE, environment: 'test' })).toBe('environment_mismatch')
  })

  it('K-13 lets no test key and no bound key change what every environment of the project shares', () => {
    const changing = ROUTES.filter(
      ({ access: { tenant, audit, scope } }) => tenant === 'project' && audit !== 'none' && scope !== undefined,
    )
    expect(changing.map(({ name }) => name)).toContain('projectUpdate')
    const narrow: Partial<KeyPrincipal>[] = [{ environment: 'test' }, { connection: newId('conn') }]
    for (const { access } of changing) {
      expect(code(key(SCOPES), access, { org, project })).toBe('allowed')
      for (const at of narrow) {
        expect(code(key(SCOPES, at), access, { org, project })).toBe('forbidden')
        expect(code(key([], at), access, { org, project })).toBe('insufficient_scope')
        expect(code(key(SCOPES, at), access, { org, project: otherProject })).toBe('not_found')
      }
    }
  })

  it('T-09 K-13 lets a key of the organization work in each of its projects, in its own environment, and no test key change what is shared', () => {
    const live = key(SCOPES, { project: null })
    const test = key(SCOPES, { project: null, environment: 'test' })
    const declared = access({ scope: 'keys:read' })
    for (const at of [HERE, { ...HERE, project: otherProject }]) {
      expect([code(live, declared, at), code(test, declared, at)]).toEqual(['allowed', 'environment_mismatch'])
      expect([code(live, declared, { ...at, org: otherOrg }), code(test, declared, { ...at, environment: 'test' })]).toEqual([
        'not_found',
        'allowed',
      ])
    }
    for (const { name, access: its } of ROUTES.filter(
      ({ access: { tenant, audit, scope } }) => tenant === 'org' && audit !== 'none' && scope,
    ))
      expect([name, code(live, its, { org }), code(test, its, { org }), code(live, its, { org: otherOrg })]).toEqual([
        name,
        'allowed',
        'forbidden',
        'not_found',
      ])
  })

  it('T-06 never takes a tenant from the caller when the path names none or too little', () => {
    const callers = [key(SCOPES), person([org, 'OWNER'])]
    const short: [RouteAccess['tenant'], AccessPlace][] = [
      ['none', HERE],
      ['org', {}],
      ['project', { org }],
      ['project', { project }],
      ['environment', { org, project }],
      ['environment', { org, environment: 'live' }],
      ['environment', { project, environment: 'live' }],
    ]
    for (const caller of callers)
      for (const [tenant, at] of short) expect(code(caller, access({ role: 'VIEWER', scope: 'keys:read', tenant }), at)).toBe('not_found')
  })

  it('T-18 gives a person of two organizations in each what that one granted', () => {
    const both = person([org, 'VIEWER'], [otherOrg, 'ADMIN'])
    const declared = access({ role: 'ADMIN', tenant: 'org' })
    expect([code(both, declared, { org }), code(both, declared, { org: otherOrg })]).toEqual(['forbidden', 'allowed'])
  })

  it('refuses the kind of caller that a route does not name', () => {
    expect(code(person([org, 'OWNER']), access({ scope: 'keys:read' }), HERE)).toBe('forbidden')
    expect(code(key(SCOPES), access({ role: 'VIEWER' }), HERE)).toBe('forbidden')
    expect(code(key(SCOPES), access({ role: 'VIEWER', tenant: 'org' }), { org })).toBe('forbidden')
  })

  it('asks nothing more of routes about the caller itself', () => {
    for (const audience of ['public', 'principal'] as const)
      for (const caller of [key([]), person()]) expect(code(caller, access({ audience, tenant: 'none' }), {})).toBe('allowed')
  })
})

describe('a sign-in', () => {
  const CORP = { issuer: 'https://corp.test', provider: null }
  const asking = (breakGlass = false): PersonPrincipal['signInPolicies'] => new Map([[org, { ways: [CORP], breakGlass }]])
  const byCorp = { ...person().signIn, ...CORP }

  it('J-12 J-13 that the organization does not take opens none of its routes, whatever the role, and those of another organization still', () => {
    for (const role of ROLES) {
      const member = { ...person([org, role], [otherOrg, 'OWNER']), signInPolicies: asking() }
      for (const { name, access: its } of ROUTES.filter((route) => route.access.audience === 'tenant')) {
        expect(code(member, its, placeFor(its.tenant, HERE)), `${name} as ${role}`).toBe('sso_required')
        const elsewhere = placeFor(its.tenant, { ...HERE, org: otherOrg, project: otherProject })
        expect(code(member, its, elsewhere), name).toBe(its.role === undefined ? 'forbidden' : 'allowed')
        const taken = code({ ...member, signIn: byCorp }, its, placeFor(its.tenant, HERE))
        expect(taken, name).toBe(its.role !== undefined && ROLE_CONTAINS[role].includes(its.role) ? 'allowed' : 'forbidden')
      }
    }
  })

  it('J-13 admits nobody when the policy can not be read', () => {
    const owner = { ...person([org, 'OWNER']), signInPolicies: new Map([[org, 'unreadable' as const]]) }
    for (const { name, access: its } of ROUTES.filter((route) => route.access.audience === 'tenant'))
      expect(code(owner, its, placeFor(its.tenant, HERE)), name).toBe('sso_required')
  })

  it('in another way lets in an owner with a second factor where the organization says so, and nobody else', () => {
    const come = (role: Role, assurance: 'aal1' | 'aal2') =>
      code(
        { ...person([org, role]), signIn: { ...person().signIn, assurance }, signInPolicies: asking(true) },
        access({ role: 'VIEWER' }),
        HERE,
      )
    expect(ROLES.map((role) => come(role, 'aal2'))).toEqual(ROLES.map((role) => (role === 'OWNER' ? 'allowed' : 'sso_required')))
    expect(come('OWNER', 'aal1')).toBe('sso_required')
  })

  it('is not told to whoever does not belong: a policy of a foreign organization looks like absence', () => {
    expect(code({ ...person(), signInPolicies: asking() }, access({ role: 'VIEWER' }), HERE)).toBe('not_found')
  })

  it('without a second factor does nothing that can not be undone, and a role that is too small is told that first', () => {
    const declared = access({ role: 'ADMIN', stepUp: true })
    const come = (role: Role, assurance: 'aal1' | 'aal2') =>
      code({ ...person([org, role]), signIn: { ...person().signIn, assurance } }, declared, HERE)
    expect([come('OWNER', 'aal1'), come('OWNER', 'aal2'), come('VIEWER', 'aal1')]).toEqual(['step_up_required', 'allowed', 'forbidden'])
  })

  it('with a second factor from too long ago does nothing that can not be undone', () => {
    const declared = access({ role: 'ADMIN', stepUp: true })
    const after = (seconds: number) => code(person([org, 'OWNER']), declared, HERE, NOW + seconds * 1_000)
    expect([after(0), after(3_599), after(3_600), after(86_400)]).toEqual(['allowed', 'allowed', 'step_up_required', 'step_up_required'])
  })

  it('with a second factor is declared for what can not be undone', () => {
    const declared = ROUTES.filter((route) => route.access.stepUp === true).map(({ name }) => name)
    expect(declared).toEqual(expect.arrayContaining(['bulkRevocationCreate', 'dataKeyShred', 'organizationContain']))
  })
})

describe('roleContains', () => {
  it('keeps DEVELOPER and BILLING apart', () => {
    expect([roleContains('DEVELOPER', 'BILLING'), roleContains('BILLING', 'DEVELOPER')]).toEqual([false, false])
    expect(ROLES.every((role) => roleContains('OWNER', role) && roleContains(role, role) && roleContains(role, 'VIEWER'))).toBe(true)
  })
})
