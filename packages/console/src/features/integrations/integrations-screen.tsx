/** The organization's own clients at providers, and the redirect URI that each must be registered with. */
import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { integrationsQuery } from '../../api/queries.ts'
import type { Integration } from '../../api/resources.ts'
import { usePlace } from '../../app/place.ts'
import { Button } from '../../ui/button.tsx'
import { CopyButton } from '../../ui/copy.tsx'
import { FailureNotice } from '../../ui/notice.tsx'
import { Empty, Loading, Page, Row, Rows } from '../../ui/page.tsx'
import { AddIntegrationDialog } from './add-integration-dialog.tsx'

export function IntegrationsScreen() {
  const [adding, setAdding] = useState(false)
  const add = (
    <Button look="primary" onClick={() => setAdding(true)}>
      Add an integration
    </Button>
  )
  return (
    <Page title="Integrations" about="Your own clients at providers. Their names are the first part of a call’s path." actions={add}>
      <IntegrationList />
      {adding && <AddIntegrationDialog onClose={() => setAdding(false)} />}
    </Page>
  )
}

function IntegrationList() {
  const { data, error, isPending } = useQuery(integrationsQuery(usePlace()))
  if (isPending) return <Loading />
  if (data === undefined) return <FailureNotice error={error} />
  if (data.length === 0) {
    return (
      <Empty title="No integration yet">
        Register an OAuth application at a provider, then add its client id and secret here. Accounts are connected through it.
      </Empty>
    )
  }
  return (
    <Rows label="Integrations">
      {data.map((integration) => (
        <IntegrationRow key={integration.id} integration={integration} />
      ))}
    </Rows>
  )
}

function IntegrationRow({ integration }: { readonly integration: Integration }) {
  const { slug, provider, client_id: clientId, scopes, redirect_uri: redirectUri } = integration
  return (
    <Row>
      <div className="min-w-0 flex-1 basis-72">
        <p className="font-semibold">{slug}</p>
        <p className="mt-0.5 text-sm text-dim">
          {provider}, client <span className="font-mono break-all">{clientId}</span>
        </p>
        <dl className="mt-3 grid gap-x-4 gap-y-0.5 text-sm sm:gap-y-2 sm:grid-cols-[7rem_minmax(0,1fr)]">
          <dt className="text-dim max-sm:mt-2">Call path</dt>
          <dd className="font-mono break-all">/proxy/{slug}/…</dd>
          <dt className="text-dim max-sm:mt-2">Scopes</dt>
          <dd className="font-mono break-words">{scopes.length === 0 ? 'none' : scopes.join(' ')}</dd>
          <dt className="text-dim max-sm:mt-2">Redirect URI</dt>
          <dd className="font-mono break-all">{redirectUri}</dd>
        </dl>
      </div>
      <CopyButton text={redirectUri} label={`redirect URI of ${slug}`} words="Copy redirect URI" />
    </Row>
  )
}
