/** Keys of model providers, the environment's own and those of the organization: what is told of each, keeping one, replacing it and ending it. */
import { useState } from 'react'
import { operations } from '@sallyport/contract'
import { api } from '../../api/client.ts'
import { organizationProviderKeyPages, providerKeyPages } from '../../api/queries.ts'
import type { ProviderKey } from '../../api/resources.ts'
import { usePlace } from '../../app/place.ts'
import { useMay } from '../../app/role.ts'
import { Badge } from '../../ui/badge.tsx'
import type { Tone } from '../../ui/badge.tsx'
import { Button } from '../../ui/button.tsx'
import { ConfirmDialog } from '../../ui/confirm.tsx'
import { CopyBox } from '../../ui/copy.tsx'
import { Card, Empty, Row, Rows, Section } from '../../ui/page.tsx'
import { Paged } from '../../ui/paged.tsx'
import { Moment } from '../../ui/time.tsx'
import { keepProviderKey } from './commands.ts'
import { KeepKeyDialog } from './keep-key-dialog.tsx'
import { ReplaceKeyDialog } from './replace-key-dialog.tsx'

const STATES: Readonly<Record<ProviderKey['state'], readonly [string, Tone]>> = {
  active: ['Active', 'good'],
  ending: ['Replaced', 'warn'],
  ended: ['Ended', 'plain'],
}

export function ProviderKeys() {
  const place = usePlace()
  const may = useMay()
  const [keeping, setKeeping] = useState(false)
  const [replacing, setReplacing] = useState<ProviderKey>()
  const [revoking, setRevoking] = useState<ProviderKey>()
  const keep = may('providerKeyCreate') ? (
    <Button look="primary" onClick={() => setKeeping(true)}>
      Keep a key
    </Button>
  ) : undefined
  const rows = (label: string, change: boolean) => (keys: readonly ProviderKey[]) => (
    <Rows label={label}>
      {keys.map((key) => (
        <KeyRow key={key.id} providerKey={key} change={change} onReplace={() => setReplacing(key)} onRevoke={() => setRevoking(key)} />
      ))}
    </Rows>
  )
  return (
    <>
      <Section
        title="Keys of this environment"
        about="They stand before the organization’s: calls of this environment go out with them."
        actions={keep}
      >
        <Paged pages={providerKeyPages(place)} empty={<NoKey />}>
          {rows('Keys of this environment', may('providerKeyRotate'))}
        </Paged>
      </Section>
      <Section
        title="Keys of the organization"
        about="For every environment of every project that has none of its own for that provider and name."
      >
        <Paged
          pages={organizationProviderKeyPages(place.org)}
          empty={<Card className="px-5 py-4 text-sm text-dim">None is kept for the whole organization.</Card>}
        >
          {rows('Keys of the organization', may('organizationProviderKeyRotate'))}
        </Paged>
      </Section>
      {keeping && <KeepKeyDialog onClose={() => setKeeping(false)} />}
      {replacing !== undefined && <ReplaceKeyDialog providerKey={replacing} onClose={() => setReplacing(undefined)} />}
      {revoking !== undefined && <RevokeKeyDialog providerKey={revoking} onClose={() => setRevoking(undefined)} />}
    </>
  )
}

function NoKey() {
  const place = usePlace()
  const may = useMay()
  const path = operations.providerKeyCreate.path.replace(/\{(\w+)\}/gu, (_, name: keyof typeof place) => place[name])
  return (
    <Empty
      title="No key of this environment yet"
      command={
        may('providerKeyCreate') && (
          <CopyBox
            label="Or from a terminal, with a gateway key that may provider_keys:write"
            text={keepProviderKey(window.location.origin, path)}
          />
        )
      }
    >
      {may('providerKeyCreate')
        ? 'Keep the key of a provider, as OpenAI or Anthropic. Your application then calls its models with a Sallyport key that may llm:call.'
        : 'An administrator keeps the keys of providers here. Calls to their models then need a Sallyport key alone.'}
    </Empty>
  )
}

interface KeyRowProps {
  readonly providerKey: ProviderKey
  readonly change: boolean
  readonly onReplace: () => void
  readonly onRevoke: () => void
}

function KeyRow({ providerKey, change, onReplace, onRevoke }: KeyRowProps) {
  const {
    id,
    provider,
    name,
    masked,
    fingerprint,
    settings,
    state,
    created_at: createdAt,
    ends_at: endsAt,
    revoked_at: revokedAt,
  } = providerKey
  const [label, tone] = STATES[state]
  const further = Object.entries(settings)
  return (
    <Row>
      <div className="min-w-0 flex-1 basis-72">
        <p className="flex flex-wrap items-center gap-x-3 gap-y-1">
          <span className="font-semibold break-words">{provider}</span>
          {name !== 'default' && <span className="break-words text-dim">{name}</span>}
          <Badge tone={tone}>{label}</Badge>
        </p>
        {masked !== '' && <p className="mt-1 font-mono text-sm break-all">{masked}</p>}
        <p className="mt-1 text-sm text-dim">
          Fingerprint <span className="font-mono break-all">{fingerprint}</span>
        </p>
        {further.length > 0 && (
          <p className="mt-1 text-sm break-words text-dim">{further.map(([setting, value]) => `${setting} ${value}`).join(', ')}</p>
        )}
        <p className="mt-1 font-mono text-xs break-all text-dim">{id}</p>
      </div>
      <div className="flex flex-wrap items-center gap-x-4 gap-y-2 max-sm:w-full max-sm:justify-between">
        <p className="text-sm text-dim">
          Kept since <Moment at={createdAt} />
          {revokedAt === null && endsAt !== null && (
            <>
              <br />
              {state === 'ended' ? 'Ended' : 'At hand until'} <Moment at={endsAt} />
            </>
          )}
          {revokedAt !== null && (
            <>
              <br />
              Revoked <Moment at={revokedAt} />
            </>
          )}
        </p>
        {change && state === 'active' && (
          <Button onClick={onReplace} aria-label={`Replace ${provider} ${name}`}>
            Replace
          </Button>
        )}
        {change && state !== 'ended' && (
          <Button look="danger" onClick={onRevoke} aria-label={`Revoke ${provider} ${name}`}>
            Revoke
          </Button>
        )}
      </div>
    </Row>
  )
}

function RevokeKeyDialog({ providerKey, onClose }: { readonly providerKey: ProviderKey; readonly onClose: () => void }) {
  const place = usePlace()
  const { id, project, provider, name } = providerKey
  const revoke = () =>
    project === null
      ? api.call('organizationProviderKeyRevoke', { params: { org: place.org, organization_provider_key: id } })
      : api.call('providerKeyRevoke', { params: { ...place, provider_key: id } })
  return (
    <ConfirmDialog
      title={`Revoke the key of ${provider}${name === 'default' ? '' : `, ${name}`}?`}
      action="Revoke the key"
      run={revoke}
      changes={['provider-keys']}
      onClose={onClose}
    >
      Its secret is erased at once, and calls that begin afterwards go without it. The provider is not told: end it there too.
    </ConfirmDialog>
  )
}
