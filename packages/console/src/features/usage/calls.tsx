/** Each call to a model, newest first: who made it, what it used, and how that is known. Nothing of what was asked or answered. */
import { useQuery } from '@tanstack/react-query'
import { recentKeysQuery, usageRecordPages } from '../../api/queries.ts'
import type { UsageRecord } from '../../api/resources.ts'
import { usePlace } from '../../app/place.ts'
import { Badge } from '../../ui/badge.tsx'
import { Card, Row, Rows, Section } from '../../ui/page.tsx'
import { Paged } from '../../ui/paged.tsx'
import { Moment } from '../../ui/time.tsx'
import { callWords, statusWords } from './figures.ts'

export function Calls() {
  const place = usePlace()
  const keys = useQuery(recentKeysQuery(place))
  const names = new Map(keys.data?.data.map(({ id, name }) => [id, name]))
  return (
    <Section title="Each call" about="Of this environment, newest first. A call that several providers were tried for has a row for each.">
      <Paged
        pages={usageRecordPages(place)}
        empty={<Card className="px-5 py-4 text-sm text-dim">No call of this environment is on record.</Card>}
      >
        {(calls) => (
          <Rows label="Calls of models, newest first">
            {calls.map((call) => (
              <CallRow key={call.id} call={call} keyName={names.get(call.key)} />
            ))}
          </Rows>
        )}
      </Paged>
    </Section>
  )
}

function CallRow({ call, keyName }: { readonly call: UsageRecord; readonly keyName: string | undefined }) {
  const { at, request, key, end_user: endUser, provider, model, route, status, error, duration_ms: durationMs } = call
  const failed = status < 200 || status >= 400 || error !== null
  return (
    <Row>
      <div className="min-w-0 flex-1 basis-72 text-sm">
        <p className="flex flex-wrap items-center gap-x-3 gap-y-1">
          <span className="font-mono break-all">
            {provider}/{model ?? 'not known'}
          </span>
          {failed && <Badge tone="warn">{statusWords(call)}</Badge>}
        </p>
        <p className="mt-0.5 break-words text-dim">
          {route !== null && `By route ${route}, with`}
          {route === null && 'With'} {keyName ?? key}
          {endUser !== null && `, for ${endUser}`}
        </p>
        <p className="mt-0.5 font-mono text-xs break-all text-dim">{request}</p>
      </div>
      <div className="text-sm sm:text-right">
        <p className="tabular-nums">{callWords(call)}</p>
        <p className="text-dim">
          {Math.round(durationMs)} ms, <Moment at={at} />
        </p>
      </div>
    </Row>
  )
}
