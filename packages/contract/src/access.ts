/** Owns the words of authorization: roles of people, scopes of keys, and what a route must declare. Refuses wildcards. */

export const ROLES = ['OWNER', 'ADMIN', 'DEVELOPER', 'BILLING', 'VIEWER'] as const
/** What a person may do in an organization. */
export type Role = (typeof ROLES)[number]

/** What each role contains, itself included. DEVELOPER and BILLING do not contain each other. */
export const ROLE_CONTAINS: Readonly<Record<Role, readonly Role[]>> = {
  OWNER: ['OWNER', 'ADMIN', 'DEVELOPER', 'BILLING', 'VIEWER'],
  ADMIN: ['ADMIN', 'DEVELOPER', 'BILLING', 'VIEWER'],
  DEVELOPER: ['DEVELOPER', 'VIEWER'],
  BILLING: ['BILLING', 'VIEWER'],
  VIEWER: ['VIEWER'],
}

/** What a key may do: `resource:action`. */
export const SCOPES = [
  'proxy:call',
  'llm:call',
  'projects:read',
  'projects:write',
  'keys:read',
  'keys:write',
  'integrations:read',
  'integrations:write',
  'provider_keys:read',
  'provider_keys:write',
  'model_routes:read',
  'model_routes:write',
  'connect_sessions:write',
  'connections:read',
  'connections:write',
  'requests:read',
  'usage:read',
] as const
/** One of `SCOPES`. */
export type Scope = (typeof SCOPES)[number]

/** What calls out, which needs a project to call from. */
const CALLING: readonly Scope[] = ['proxy:call', 'llm:call']
/** What a key of an organization may hold: all but calling out. */
export const ORGANIZATION_KEY_SCOPES = SCOPES.filter((scope) => !CALLING.includes(scope))

/** The two halves of every project. */
export const ENVIRONMENTS = ['live', 'test'] as const
/** One of `ENVIRONMENTS`. */
export type Environment = (typeof ENVIRONMENTS)[number]

/**
 * Who may use a route, in which tenant, what is written down, and how much may be sent. Every route carries one; a route
 * without one stops the start.
 */
export interface RouteAccess {
  /**
   * - `public`: nobody is asked. The handler proves its caller by other means (a link's token, a state) or gives nothing away.
   * - `principal`: any authenticated key or person, about itself.
   * - `tenant`: a key holding `scope`, or a person holding `role`, inside the organization (project, environment) of the path.
   */
  readonly audience: 'public' | 'principal' | 'tenant'
  /** The least role of a person. Absent: people can't use the route. Only with audience `tenant`. */
  readonly role?: Role
  /** The scope of a key. Absent: keys can't use the route. Only with audience `tenant`. */
  readonly scope?: Scope
  /** What it does can't be undone: people need a sign-in with a second factor. Keys can't have one; `scope` alone speaks for them. */
  readonly stepUp?: true
  /** It is there for people of an organization that is being deleted, too: it shows that, or takes it back. */
  readonly whileClosing?: true
  /** How far the path names the tenant. A project's key is held to its project and environment, and uses no `org` route; an organization's to its environment. */
  readonly tenant: 'none' | 'org' | 'project' | 'environment'
  /** The action of the audit event a success writes (`noun.verb`), or `none` for reads that are not audited. */
  readonly audit: string
  /** Largest request body in bytes; 0: no body is taken. */
  readonly bodyLimit: number
}

/** Bytes. */
export const MEGABYTE = 1024 * 1024
/** The cap on any request body (battery D-06). */
export const MAX_BODY_BYTES = 10 * MEGABYTE
/** Bodies of the control plane are small objects. */
export const CONTROL_BODY_BYTES = 256 * 1024
