/**
 * Owns the rule that every route says who may use it. Refuses, at the start, a route that says nothing, or says what its path
 * can't mean.
 */
import type { FastifyInstance, RouteOptions } from 'fastify'
import type { RouteAccess } from '@sallyport/contract'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Who may use the route. Without one, here or as the scope's `routeAccess`, the start fails. */
    access?: RouteAccess
    /** Set for operations of the contract: their mutations are held to the same-site rule (battery J-20). */
    operation?: string
  }
  interface FastifyInstance {
    /** The declaration for routes that a plugin adds inside this scope (static files, the reference page). */
    routeAccess: RouteAccess | undefined
  }
}

/** Files and pages that are the same for everybody. */
export const PUBLIC_READ: RouteAccess = { audience: 'public', tenant: 'none', audit: 'none', bodyLimit: 0 }

/** Installs the rule. Must run before the first route; from then on an undeclared route throws where it is added. */
export function guardRoutes(app: FastifyInstance): void {
  app.decorate('routeAccess', undefined)
  app.addHook('onRoute', function guard(this: FastifyInstance, route) {
    const access = route.config?.access ?? this.routeAccess
    const fault = access === undefined ? 'declares no access' : (accessFault(access, route) ?? outsideFault(access, route))
    if (access === undefined || fault !== undefined) throw new TypeError(`route ${String(route.method)} ${route.url} ${fault}`)
    route.config = { ...route.config, access }
    // Fastify wants a positive limit; a body where none is taken is refused before it is read (see request-guard.ts).
    route.bodyLimit = Math.max(1, access.bodyLimit)
  })
}

/** Operations of the contract are held to the same-site rule; what is none of them must take no credential that a browser adds by itself. */
function outsideFault(access: RouteAccess, { method, config }: Pick<RouteOptions, 'method' | 'config'>): string | undefined {
  const outside = config?.operation === undefined && changes(method) && access.audience !== 'public'
  return outside ? 'changes something by a credential and is no operation of the contract' : undefined
}

const TENANT_PARAMS: Readonly<Record<RouteAccess['tenant'], readonly string[]>> = {
  none: [],
  org: ['org'],
  project: ['org', 'project'],
  environment: ['org', 'project', 'environment'],
}

function accessFault(access: RouteAccess, route: Pick<RouteOptions, 'method' | 'url'>): string | undefined {
  const missing = TENANT_PARAMS[access.tenant].filter((name) => !route.url.split('/').includes(`:${name}`))
  if (missing.length > 0) return `declares a tenant that its path does not name: ${missing.join(', ')}`
  if (access.audience !== 'tenant') {
    return access.role === undefined && access.scope === undefined ? undefined : 'declares a role or scope without a tenant'
  }
  if (access.tenant === 'none') return 'is for a tenant but names none'
  if (access.role === undefined && access.scope === undefined) return 'is for a tenant but for no role and no scope'
  return changes(route.method) && access.audit === 'none' ? 'changes something without an audit action' : undefined
}

function changes(method: RouteOptions['method']): boolean {
  return [method].flat().some((one) => one !== 'GET' && one !== 'HEAD' && one !== 'OPTIONS')
}
