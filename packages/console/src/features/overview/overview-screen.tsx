/** How one environment stands: what is there, what needs somebody, and the next step while it is new. */
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { integrationsQuery, keptProvidersQuery, recentConnectionsQuery, recentKeysQuery, recentRequestsQuery } from '../../api/queries.ts'
import type { Connection } from '../../api/resources.ts'
import { usePlace } from '../../app/place.ts'
import { buttonClasses } from '../../ui/button.tsx'
import { FailureNotice, Notice } from '../../ui/notice.tsx'
import { Card, Loading, Page } from '../../ui/page.tsx'
import { needsAttention } from '../connections/status.ts'
import { RequestTable } from '../requests/request-table.tsx'
import { nextSteps } from './next-step.ts'
import type { Step } from './next-step.ts'

export function OverviewScreen() {
  const { environment } = usePlace()
  return (
    <Page
      title="Overview"
      about={
        environment === 'live'
          ? 'The live environment: real accounts of real people.'
          : 'The test environment: it never meets live accounts or keys.'
      }
    >
      <Standing />
    </Page>
  )
}

function Standing() {
  const place = usePlace()
  const integrations = useQuery(integrationsQuery(place))
  const connections = useQuery(recentConnectionsQuery(place))
  const keys = useQuery(recentKeysQuery(place))
  const requests = useQuery(recentRequestsQuery(place))
  const models = useQuery(keptProvidersQuery(place))
  const error = integrations.error ?? connections.error ?? keys.error ?? requests.error ?? models.error
  if (error !== null) return <FailureNotice error={error} />
  if (!integrations.data || !connections.data || !keys.data || !requests.data || !models.data) return <Loading />
  const active = connections.data.data.filter(({ status }) => status === 'active').length
  const working = keys.data.data.filter(({ revoked_at: revoked }) => revoked === null)
  const steps = nextSteps({
    integrations: integrations.data.length,
    connections: active,
    modelProviders: models.data.length,
    keys: working.length,
    requests: requests.data.data.length,
  })
  return (
    <>
      <Attention connections={connections.data.data.filter(needsAttention)} />
      {steps.map((step) => (
        <NextStep key={step.to} step={step} />
      ))}
      <dl className="mb-8 grid grid-cols-1 gap-3 sm:grid-cols-2 xl:grid-cols-4">
        <Figure name="Active connections" value={count(active, connections.data.next_cursor)} />
        <Figure name="Integrations" value={String(integrations.data.length)} />
        <Figure name="Providers of models" value={String(models.data.length)} />
        <Figure name="Keys in use" value={count(working.length, keys.data.next_cursor)} />
      </dl>
      {requests.data.data.length > 0 && (
        <section aria-labelledby="latest">
          <div className="mb-3 flex items-baseline justify-between">
            <h2 id="latest" className="text-lg font-semibold">
              Latest requests
            </h2>
            <Link to="/$org/$project/$environment/requests" params={place} className="text-sm font-semibold text-act hover:underline">
              All requests
            </Link>
          </div>
          <RequestTable label="Latest requests" requests={requests.data.data} />
        </section>
      )}
    </>
  )
}

/** Only the first page was counted: more may stand behind it. */
function count(found: number, nextCursor: string | null): string {
  return nextCursor === null ? String(found) : `${found}+`
}

function Figure({ name, value }: { readonly name: string; readonly value: string }) {
  return (
    <div className="rounded-2xl border border-line bg-card px-5 py-4">
      <dt className="text-sm text-dim">{name}</dt>
      <dd className="mt-1 text-xl font-semibold tabular-nums">{value}</dd>
    </div>
  )
}

function Attention({ connections }: { readonly connections: readonly Connection[] }) {
  const place = usePlace()
  if (connections.length === 0) return null
  return (
    <Notice
      tone="warn"
      title={connections.length === 1 ? 'One connection needs somebody' : `${connections.length} connections need somebody`}
    >
      <p>
        Calls through them fail until then.{' '}
        <Link to="/$org/$project/$environment/connections" params={place} className="font-semibold underline">
          See what to do
        </Link>
      </p>
    </Notice>
  )
}

function NextStep({ step: { title, about, action, to } }: { readonly step: Step }) {
  const place = usePlace()
  return (
    <Card className="mb-6 flex flex-wrap items-center justify-between gap-4 px-6 py-5">
      <div className="max-w-xl">
        <h2 className="text-lg font-semibold">{title}</h2>
        <p className="mt-1 text-dim">{about}</p>
      </div>
      <Link to={to} params={place} className={buttonClasses('primary')}>
        {action}
      </Link>
    </Card>
  )
}
