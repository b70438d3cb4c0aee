/**
 * Every operation of the contract, asked by every role and every scope, for ids of the caller's own place, of another project, of another
 * environment, of another organization, of mixes of them, and of nobody. What is to come of it is read from the declared table alone, by rules
 * that are written here a second time. No bodies are sent: who may is decided before a byte of one is read, and nothing is changed that way.
 */
import { Agent, request as httpRequest } from 'node:http'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { z } from 'zod'
import { operations, ROLE_CONTAINS, ROLES, SCOPES } from '@sallyport/contract'
import type { Operation, OperationName, Role, RouteAccess, Scope } from '@sallyport/contract'
import { formatId, newId } from '@sallyport/core'
import type { IdPrefix } from '@sallyport/core'
import { asKey, asPerson, createWorld } from './world.ts'
import type { TestOrg, World } from './world.ts'

type Environment = 'live' | 'test'

interface Caller {
  readonly name: string
  readonly headers: Record<string, string>
  readonly home: TestOrg
  readonly role?: Role
  readonly key?: {
    readonly scopes: readonly Scope[]
    readonly environment: Environment
    readonly bound: boolean
    readonly ofOrganization?: boolean
  }
}

interface Target {
  readonly name: string
  readonly params: Readonly<Record<string, string>>
  readonly org: 'own' | 'other' | 'nobody'
  readonly project: 'own' | 'sibling' | 'other' | 'nobody'
}

let world: World
let agent: Agent
let callers: readonly Caller[]
let probes = 0
/** What a caller is told of what isn't there, or isn't theirs, but for the request's id. One text, whatever the reason. */
const absences = new Set<string>()

beforeAll(async () => {
  world = await createWorld(inject('postgresUrl'))
  agent = new Agent({ keepAlive: true, maxSockets: 8 })
  const { a, b } = world
  const person = (home: TestOrg, role: Role): Caller => ({ name: `a person, ${role}`, headers: asPerson(home.people[role]), home, role })
  const key = async (home: TestOrg, scopes: readonly Scope[], environment: Environment = 'test', bound = false): Promise<Caller> => {
    const text = await world.makeKey(home, { scopes, environment, ...(bound ? { connection: home.connection } : {}) })
    const what = scopes.length === 1 ? scopes[0] : 'every scope'
    return {
      name: `a ${bound ? 'bound ' : ''}${environment} key, ${what}`,
      headers: asKey(text),
      home,
      key: { scopes, environment, bound },
    }
  }
  const ofOrganization = async (home: TestOrg, environment: Environment): Promise<Caller> => ({
    name: `a ${environment} key of the organization`,
    headers: asKey(await world.makeKey(home, { scopes: SCOPES, environment, project: null })),
    home,
    key: { scopes: SCOPES, environment, bound: false, ofOrganization: true },
  })
  const one: Caller[] = []
  for (const scope of SCOPES) one.push(await key(a, [scope]))
  callers = [
    ...ROLES.map((role) => person(a, role)),
    ...ROLES.map((role) => person(b, role)),
    ...one,
    await key(a, SCOPES),
    await key(b, SCOPES),
    await key(a, SCOPES, 'live'),
    await key(a, SCOPES, 'test', true),
    await ofOrganization(a, 'live'),
    await ofOrganization(a, 'test'),
    await ofOrganization(b, 'live'),
  ]
}, 300_000)
afterAll(async () => {
  agent?.destroy()
  await world?.close()
})

const inTenant = (Object.entries(operations) as [OperationName, Operation][]).filter(([, { access }]) => access.audience === 'tenant')

const PLACE = new Set(['org', 'project', 'environment'])

/** Whoever may would be gone, or their place, and the probes after it would be of nobody. */
const TAKES_THE_CALLER_AWAY: ReadonlySet<string> = new Set(['organizationDelete', 'organizationLeave', 'projectArchive'])

/** Well formed, and nobody's: an id of the kind that the contract says, or a text that names nothing. */
function nobody({ params }: Operation, part: string): string {
  const { properties = {} } = z.toJSONSchema(params!) as { properties?: Readonly<Record<string, { pattern?: string }>> }
  const prefix = /^\^([a-z]+)_\[/u.exec(properties[part]?.pattern ?? '')?.[1]
  return prefix === undefined ? 'nothing-of-anybody' : formatId(prefix as IdPrefix, newId(prefix as IdPrefix))
}

/** The same place in an organization, its inner ids those of `inner`, or nobody's. */
function params(
  operation: Operation,
  place: Readonly<Record<string, string>>,
  inner?: Readonly<Record<string, string>>,
): Record<string, string> {
  const parts = [...operation.path.matchAll(/\{(\w+)\}/gu)].map(([, part]) => part!)
  return Object.fromEntries(parts.map((part) => [part, PLACE.has(part) ? place[part]! : (inner?.[part] ?? nobody(operation, part))]))
}

function targetsOf(operation: Operation, { home }: Caller): Target[] {
  const other = home === world.a ? world.b : world.a
  const own = { ...home.params, environment: 'test' }
  const sibling = { ...own, project: formatId('proj', home.projects[1]) }
  const foreign = { ...other.params, environment: 'test' }
  const lost = { ...own, org: formatId('org', newId('org')), project: formatId('proj', newId('proj')) }
  const mixed = { ...own, project: other.params.project }
  return [
    // Ids of one's own are asked for in operations.test.ts: here they would be changed by whoever may.
    { name: 'own place', params: params(operation, own), org: 'own', project: 'own' },
    { name: 'own place, inner ids of another organization', params: params(operation, own, foreign), org: 'own', project: 'own' },
    { name: 'own live place', params: params(operation, { ...own, environment: 'live' }), org: 'own', project: 'own' },
    { name: 'another project', params: params(operation, sibling), org: 'own', project: 'sibling' },
    { name: "another organization's project in one's own", params: params(operation, mixed, foreign), org: 'own', project: 'other' },
    { name: 'another organization', params: params(operation, foreign, foreign), org: 'other', project: 'other' },
    {
      name: "one's own project in another organization",
      params: params(operation, { ...own, org: foreign.org }),
      org: 'other',
      project: 'own',
    },
    { name: 'nobody', params: params(operation, lost), org: 'nobody', project: 'nobody' },
  ]
}

type Verdict = 'may' | 'not_found' | 'forbidden' | 'insufficient_scope' | 'environment_mismatch'

/** DESIGN 4.3, in words of its own. */
function verdictOf(caller: Caller, access: RouteAccess, target: Target): Verdict {
  if (target.org !== 'own') return 'not_found'
  if (caller.role !== undefined) return access.role !== undefined && ROLE_CONTAINS[caller.role].includes(access.role) ? 'may' : 'forbidden'
  const { scopes, environment, bound, ofOrganization = false } = caller.key!
  if (access.tenant !== 'org' && target.project !== 'own' && !ofOrganization) return 'not_found'
  if (access.tenant === 'environment' && target.params['environment'] !== environment) return 'environment_mismatch'
  if (access.scope === undefined || (access.tenant === 'org' && !ofOrganization)) return 'forbidden'
  if (!scopes.includes(access.scope)) return 'insufficient_scope'
  return access.tenant !== 'environment' && access.audit !== 'none' && (bound || environment === 'test') ? 'forbidden' : 'may'
}

interface Told {
  readonly status: number
  readonly code: string | undefined
  readonly text: string
}

function ask(operation: Operation, target: Target, headers: Record<string, string>): Promise<Told> {
  const path = operation.path.replace(/\{(\w+)\}/gu, (_, part: string) => encodeURIComponent(target.params[part]!))
  return new Promise((resolve, reject) => {
    const sent = httpRequest({ agent, host: '127.0.0.1', port: world.port, path, method: operation.method, headers })
    sent.on('error', reject)
    sent.on('response', (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
      response.on('error', reject)
      response.on('end', () => {
        const isProblem = (response.headers['content-type'] ?? '').startsWith('application/problem+json')
        const code = isProblem ? (JSON.parse(text) as { code: string }).code : undefined
        resolve({ status: response.statusCode ?? 0, code, text })
      })
    })
    sent.end()
  })
}

const DENIED = new Set<string | undefined>(['forbidden', 'insufficient_scope', 'environment_mismatch', 'unauthenticated'])

describe('G3 probes', () => {
  it.each(inTenant)(
    'T-01 T-04 T-07 T-09 %s does for every caller at every place what its row says',
    async (name, operation) => {
      const inside = new Set<string>()
      for (const caller of callers) {
        const isHarmless = (target: Target): boolean =>
          !TAKES_THE_CALLER_AWAY.has(name) || verdictOf(caller, operation.access, target) !== 'may'
        const targets = targetsOf(operation, caller).filter(isHarmless)
        const answers = await Promise.all(targets.map((target) => ask(operation, target, caller.headers)))
        for (const [i, target] of targets.entries()) {
          const { status, code, text } = answers[i]!
          const expected = verdictOf(caller, operation.access, target)
          const where = `${caller.name}: ${target.name}: ${text}`
          const anonymous = text.replace(/req_[0-9A-Za-z]{22}/gu, 'req')
          if (status === 404) (expected === 'may' ? inside : absences).add(anonymous)
          // Whoever may is let in; what the operation then finds, or wants, is its own. To a key that is bound to a connection some say no then.
          const isLetIn = !DENIED.has(code) || (caller.key?.bound === true && code === 'forbidden')
          if (expected === 'may') expect([isLetIn, status >= 500], where).toEqual([true, false])
          else expect(code, where).toBe(expected)
          // What is another's is never given, whoever asks for it through a place of their own.
          if (target.name.includes('of another') || target.project === 'other')
            expect(text, where).not.toContain(`"id":"${target.params['key']}"`)
          probes += 1
        }
      }
      // An inner id of another organization and one of nobody are told alike, too.
      expect(inside.size, [...inside].join('\n')).toBeLessThanOrEqual(1)
    },
    300_000,
  )

  it('T-01 were thousands, and all that is absent, foreign or unknown looks the same', () => {
    expect(probes).toBeGreaterThanOrEqual(5_000)
    expect([...absences]).toHaveLength(1)
  })
})
