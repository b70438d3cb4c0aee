import { formatId } from '@sallyport/core'
import { isAdmitted } from '../../../access/index.ts'
import { apiKeyFind } from '../../../db/index.ts'
import type { Database } from '../../../db/index.ts'
import { principalRef } from '../../../identity/index.ts'
import type { KeyPrincipal } from '../../../identity/index.ts'
import { keyPlaceOf } from '../../key/place.ts'
import { implement } from '../../operation.ts'

export const whoami = implement('whoami', async ({ principal, deps }) => {
  const id = principalRef(principal)
  if (principal.kind === 'person') {
    const memberships = [...principal.memberships].map(([org, role]) => ({
      org: formatId('org', org),
      role,
      admitted: isAdmitted(principal, org, role),
    }))
    const { issuer, methods, assurance, provider, authenticatedAt } = principal.signIn
    const endsAt = new Date(authenticatedAt.getTime() + deps.stepUp().maxAgeS * 1000)
    const step_up_until = assurance === 'aal2' ? endsAt.toISOString() : null
    const signed_in = { issuer, methods: [...methods], assurance, provider, authenticated_at: authenticatedAt.toISOString(), step_up_until }
    return { kind: 'person', id, name: principal.name, memberships, email: principal.email, signed_in, key: null }
  }
  return {
    kind: 'key',
    id,
    name: await nameOf(principal, deps.database),
    memberships: [],
    email: null,
    signed_in: null,
    key: place(principal),
  }
})

async function nameOf(key: KeyPrincipal, database: Pick<Database, 'withTenant'>): Promise<string | null> {
  const row = await database.withTenant(key.org, (tx) => apiKeyFind(tx, keyPlaceOf(key), key.keyId))
  return row?.name ?? null
}

function place({ org, project, environment, scopes, connection }: KeyPrincipal) {
  return {
    org: formatId('org', org),
    project: project && formatId('proj', project),
    environment,
    scopes: [...scopes],
    connection: connection && formatId('conn', connection),
  }
}
