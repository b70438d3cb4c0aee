/** Connected accounts: whose they are, whether they work, and connecting one. Shows metadata; tokens never leave the gateway. */
import { useState } from 'react'
import { connectionPages } from '../../api/queries.ts'
import type { Connection } from '../../api/resources.ts'
import { usePlace } from '../../app/place.ts'
import { Badge } from '../../ui/badge.tsx'
import { Button } from '../../ui/button.tsx'
import { Empty, Page, Row, Rows } from '../../ui/page.tsx'
import { Paged } from '../../ui/paged.tsx'
import { Moment } from '../../ui/time.tsx'
import { ConnectDialog } from './connect-dialog.tsx'
import { credentialWords, STATUS_WORDS } from './status.ts'

export function ConnectionsScreen() {
  const place = usePlace()
  const [connecting, setConnecting] = useState<Connection | 'new'>()
  const connect = (
    <Button look="primary" onClick={() => setConnecting('new')}>
      Connect an account
    </Button>
  )
  return (
    <Page title="Connections" about="Accounts that calls go out with. Their credentials stay sealed in the gateway." actions={connect}>
      <Paged
        pages={connectionPages(place)}
        empty={
          <Empty title="No account is connected yet">
            Connect your own account to try it, or let your application begin a connect session for each of its users.
          </Empty>
        }
      >
        {(connections) => (
          <Rows label="Connections">
            {connections.map((connection) => (
              <ConnectionRow key={connection.id} connection={connection} onReconnect={() => setConnecting(connection)} />
            ))}
          </Rows>
        )}
      </Paged>
      {connecting !== undefined && (
        <ConnectDialog again={connecting === 'new' ? undefined : connecting} onClose={() => setConnecting(undefined)} />
      )}
    </Page>
  )
}

function ConnectionRow({ connection, onReconnect }: { readonly connection: Connection; readonly onReconnect: () => void }) {
  const { id, integration, account, end_user_id: endUser, status, missing_scopes: missing, updated_at: updatedAt } = connection
  const { label, tone, todo, reconnect } = STATUS_WORDS[status]
  const credential = credentialWords(connection)
  const retryAt = connection.failure?.retry_at
  return (
    <Row>
      <div className="min-w-0 flex-1 basis-72">
        <p className="flex flex-wrap items-center gap-x-3 gap-y-1">
          <span className="font-semibold break-all">{account?.label ?? account?.id ?? 'Account not known yet'}</span>
          <Badge tone={tone}>{label}</Badge>
          {credential !== undefined && status === 'active' && <Badge tone="warn">{credential.label}</Badge>}
        </p>
        <p className="mt-0.5 text-sm text-dim">
          <span className="font-mono">{integration}</span> for <span className="break-all">{endUser}</span>
        </p>
        <p className="mt-0.5 font-mono text-xs break-all text-dim">{id}</p>
        {todo !== undefined && <p className="mt-2 text-sm">{todo}</p>}
        {credential !== undefined && (
          <p className="mt-1 text-sm">
            {credential.about}
            {retryAt != null && (
              <>
                {' '}
                Tried again by itself, next after <Moment at={retryAt} />.
              </>
            )}
          </p>
        )}
        {missing.length > 0 && (
          <p className="mt-1 text-sm">
            Missing: <span className="font-mono break-all">{missing.join(', ')}</span>
          </p>
        )}
      </div>
      <div className="flex items-center gap-4 max-sm:w-full max-sm:justify-between">
        <p className="text-sm text-dim">
          Changed <Moment at={updatedAt} />
        </p>
        {reconnect && <Button onClick={onReconnect}>Reconnect</Button>}
      </div>
    </Row>
  )
}
