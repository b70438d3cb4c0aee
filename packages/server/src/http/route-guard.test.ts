import Fastify from 'fastify'
import { describe, expect, it } from 'vitest'
import type { RouteAccess } from '@sallyport/contract'
import { guardRoutes, PUBLIC_READ } from './route-guard.ts'

const tenant: RouteAccess = { audience: 'tenant', role: 'ADMIN', tenant: 'org', audit: 'thing.made', bodyLimit: 100 }
const add = (url: string, access: RouteAccess | undefined, method = 'POST', operation = 'thingMake') => {
  const app = Fastify()
  guardRoutes(app)
  return () =>
    app.route({
      method,
      url,
      ...(access === undefined ? {} : { config: { access, ...(operation === '' ? {} : { operation }) } }),
      handler: async () => 'x',
    })
}

describe('the route guard', () => {
  it('takes a declared route, and its HEAD twin', () => {
    expect(add('/orgs/:org', tenant)).not.toThrow()
    expect(add('/orgs/:org', { ...tenant, audit: 'none', bodyLimit: 0 }, 'GET')).not.toThrow()
  })

  it.each([
    ['says nothing', '/open', undefined],
    ['names a tenant that its path lacks', '/things', tenant],
    ['names part of a tenant', '/orgs/:org/x', { ...tenant, tenant: 'project' }],
    ['is for a tenant but for nobody', '/orgs/:org', { ...tenant, role: undefined }],
    ['is for a tenant but names none', '/orgs/:org', { ...tenant, tenant: 'none' }],
    ['changes something that no log would show', '/orgs/:org', { ...tenant, audit: 'none' }],
    ['asks a role of everybody', '/open', { ...PUBLIC_READ, role: 'ADMIN' }],
  ] as const)('T-07 stops the start when a route %s', (_what, url, access) => {
    expect(add(url, access as RouteAccess | undefined)).toThrow(TypeError)
  })

  it('J-20 stops the start when a route outside the contract changes something by a credential: the same-site rule would not hold for it', () => {
    const outside = (access: RouteAccess, method?: string) => add('/orgs/:org', access, method, '')
    expect(outside(tenant)).toThrow(TypeError)
    expect(outside({ audience: 'principal', tenant: 'none', audit: 'none', bodyLimit: 0 }, 'DELETE')).toThrow(TypeError)
    expect(outside({ ...tenant, audit: 'none', bodyLimit: 0 }, 'GET')).not.toThrow()
    expect(outside({ ...PUBLIC_READ, bodyLimit: 100 })).not.toThrow()
  })

  it('T-07 stops the start when a plugin adds a route in a scope that declares nothing', async () => {
    const app = Fastify()
    guardRoutes(app)
    void app.register(async (scope) => void scope.get('/hidden', async () => 'x'))
    await expect(app.ready()).rejects.toThrow(/GET \/hidden declares no access/u)
  })

  it("declares a plugin's routes by its scope, and no others", async () => {
    const app = Fastify()
    guardRoutes(app)
    void app.register(async (scope) => {
      scope.routeAccess = PUBLIC_READ
      void scope.register(async (inner) => void inner.get('/file', async () => 'x'))
    })
    await app.ready()
    expect(app.routeAccess).toBeUndefined()
  })
})
