/** Keys that applications call with: what each may do and until when, making one, and turning one off. */
import { useState } from 'react'
import { keyPages } from '../../api/queries.ts'
import type { ApiKey } from '../../api/resources.ts'
import { usePlace } from '../../app/place.ts'
import { Badge } from '../../ui/badge.tsx'
import { Button } from '../../ui/button.tsx'
import { Empty, Page, Row, Rows } from '../../ui/page.tsx'
import { Paged } from '../../ui/paged.tsx'
import { Moment } from '../../ui/time.tsx'
import { CreateKeyDialog } from './create-key-dialog.tsx'
import { RevokeKeyDialog } from './revoke-key-dialog.tsx'

export function KeysScreen() {
  const place = usePlace()
  const [creating, setCreating] = useState(false)
  const [revoking, setRevoking] = useState<ApiKey>()
  const create = (
    <Button look="primary" onClick={() => setCreating(true)}>
      Create a key
    </Button>
  )
  return (
    <Page
      title="API keys"
      about="What an application sends instead of a provider’s key. A key’s text is shown once, when it is made."
      actions={create}
    >
      <Paged
        pages={keyPages(place)}
        empty={<Empty title="No key yet">Create a key for your application. It opens this environment only, and only what you tick.</Empty>}
      >
        {(keys) => (
          <Rows label="API keys">
            {keys.map((key) => (
              <KeyRow key={key.id} apiKey={key} onRevoke={() => setRevoking(key)} />
            ))}
          </Rows>
        )}
      </Paged>
      {creating && <CreateKeyDialog onClose={() => setCreating(false)} />}
      {revoking !== undefined && <RevokeKeyDialog apiKey={revoking} onClose={() => setRevoking(undefined)} />}
    </Page>
  )
}

function KeyRow({ apiKey, onRevoke }: { readonly apiKey: ApiKey; readonly onRevoke: () => void }) {
  const { id, name, scopes, connection, created_at: createdAt, expires_at: expiresAt, revoked_at: revokedAt, last_used_at: usedAt } = apiKey
  const expired = expiresAt !== null && Date.parse(expiresAt) <= Date.now()
  return (
    <Row>
      <div className="min-w-0 flex-1 basis-72">
        <p className="flex flex-wrap items-center gap-x-3 gap-y-1">
          <span className="font-semibold break-words">{name}</span>
          {revokedAt !== null && <Badge tone="plain">Revoked</Badge>}
          {revokedAt === null && expired && <Badge tone="plain">Expired</Badge>}
          {revokedAt === null && !expired && <Badge tone="good">Active</Badge>}
        </p>
        <p className="mt-0.5 font-mono text-xs break-all text-dim">{id}</p>
        <p className="mt-1 font-mono text-sm break-words text-dim">{scopes.join(' ')}</p>
        {connection !== null && (
          <p className="mt-1 text-sm text-dim">
            Only for <span className="font-mono break-all">{connection}</span>
          </p>
        )}
        <Bounds apiKey={apiKey} />
      </div>
      <div className="flex items-center gap-4 max-sm:w-full max-sm:justify-between">
        <p className="text-sm text-dim">
          {revokedAt !== null ? (
            <>
              Revoked <Moment at={revokedAt} />
            </>
          ) : (
            <>
              Created <Moment at={createdAt} />
              <br />
              {usedAt === null ? (
                'Not used yet'
              ) : (
                <>
                  Last used <Moment at={usedAt} toTheMinute />
                </>
              )}
              {expiresAt !== null && (
                <>
                  <br />
                  {expired ? 'Expired' : 'Expires'} <Moment at={expiresAt} />
                </>
              )}
            </>
          )}
        </p>
        {revokedAt === null && (
          <Button look="danger" onClick={onRevoke} aria-label={`Revoke ${name}`}>
            Revoke
          </Button>
        )}
      </div>
    </Row>
  )
}

/** From where, and by whom alone, a key may be used; nothing for a key without bounds. */
function Bounds({ apiKey: { allowed_addresses: addresses, allowed_origins: origins, sender } }: { readonly apiKey: ApiKey }) {
  return (
    <>
      {addresses !== null && (
        <p className="mt-1 text-sm text-dim">
          Only from <span className="font-mono break-words">{addresses.join(' ')}</span>
        </p>
      )}
      {origins !== null && (
        <p className="mt-1 text-sm text-dim">
          Only by pages of <span className="font-mono break-words">{origins.join(' ')}</span>
        </p>
      )}
      {sender !== null && (
        <p className="mt-1 text-sm text-dim">
          Only with the {sender.kind === 'dpop' ? 'DPoP key' : 'client certificate'}{' '}
          <span className="font-mono break-all">{sender.thumbprint}</span>
        </p>
      )}
    </>
  )
}
