import type { ConnectionId } from '@sallyport/core'
import { connectionFind, connectionList as listConnections } from '../../../db/index.ts'
import type { Connection, Page, Place, TenantTx } from '../../../db/index.ts'
import { implement } from '../../operation.ts'
import { listPage } from '../../page.ts'
import { inEnvironment } from '../../tenant.ts'
import { boundConnection } from '../bound.ts'
import { presentConnection } from '../present.ts'

interface Filter {
  readonly integrationSlug: string | undefined
  readonly endUserId: string | undefined
}

export const connectionList = implement('connectionList', (call) => {
  const { integration, end_user_id } = call.query
  const filter: Filter = { integrationSlug: integration, endUserId: end_user_id }
  const only = boundConnection(call.principal)
  return inEnvironment(call, (tx, at) =>
    listPage(call, {
      rows: (page) => (only === null ? listConnections(tx, at, filter, page) : listOne(tx, at, filter, page, only)),
      keyOf: (connection) => connection.id,
      readKey: (text: string) => text as ConnectionId,
      present: presentConnection,
      filters: [`integration=${integration ?? ''}`, `end_user_id=${end_user_id ?? ''}`],
    }),
  )
})

/** The list as a bound key sees it: its one connection, when the filters let it through and no page has shown it. */
async function listOne(tx: TenantTx, at: Place, filter: Filter, page: Page<ConnectionId>, only: ConnectionId): Promise<Connection[]> {
  const connection = page.after === undefined ? await connectionFind(tx, at, only) : undefined
  if (connection === undefined) return []
  const bySlug = filter.integrationSlug === undefined || filter.integrationSlug === connection.integrationSlug
  const byUser = filter.endUserId === undefined || filter.endUserId === connection.endUserId
  return bySlug && byUser ? [connection] : []
}
