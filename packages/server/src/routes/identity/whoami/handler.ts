import { formatId } from '@sallyport/core'
import { apiKeyFind } from '../../../db/index.ts'
import type { Database } from '../../../db/index.ts'
import { principalRef } from '../../../identity/index.ts'
import type { KeyPrincipal } from '../../../identity/index.ts'
import { implement } from '../../operation.ts'

export const whoami = implement('whoami', async ({ principal, deps }) => {
  const id = principalRef(principal)
  if (principal.kind === 'person') {
    const memberships = [...principal.memberships].map(([org, role]) => ({ org: formatId('org', org), role }))
    return { kind: 'person', id, name: principal.name, memberships, key: null }
  }
  return { kind: 'key', id, name: await nameOf(principal, deps.database), memberships: [], key: place(principal) }
})

async function nameOf(key: KeyPrincipal, database: Pick<Database, 'withTenant'>): Promise<string | null> {
  const row = await database.withTenant(key.org, (tx) => apiKeyFind(tx, key, key.keyId))
  return row?.name ?? null
}

function place({ org, project, environment, scopes, connection }: KeyPrincipal) {
  return {
    org: formatId('org', org),
    project: formatId('proj', project),
    environment,
    scopes: [...scopes],
    connection: connection && formatId('conn', connection),
  }
}
