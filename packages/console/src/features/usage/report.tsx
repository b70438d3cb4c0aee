/** Sums of use: over which days, of what, and by what they are added up; and every row of those days as a file. */
import { useIsFetching, useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { useState } from 'react'
import { api } from '../../api/client.ts'
import { keptProvidersQuery, modelRoutesQuery, projectsQuery, recentKeysQuery, usageQuery } from '../../api/queries.ts'
import type { UsageQuestion } from '../../api/queries.ts'
import type { UsageGroup, UsageReport, UsageSum } from '../../api/resources.ts'
import { usePlace } from '../../app/place.ts'
import { useMay } from '../../app/role.ts'
import { Button, buttonClasses } from '../../ui/button.tsx'
import { CopyBox } from '../../ui/copy.tsx'
import { SelectField } from '../../ui/field.tsx'
import { FailureNotice, Notice } from '../../ui/notice.tsx'
import { Empty, Loading, Section } from '../../ui/page.tsx'
import { firstModelCall } from '../models/commands.ts'
import { beginOf, endOf, firstOf, firstOfMonth } from './days.ts'
import { costWords, count, sourceWords } from './figures.ts'
import { SumTable } from './sum-table.tsx'

const PERIODS = {
  month: ['This month', firstOfMonth],
  week: ['7 days', (now: number) => firstOf(7, now)],
  days30: ['30 days', (now: number) => firstOf(30, now)],
  days90: ['90 days', (now: number) => firstOf(90, now)],
  year: ['A year', (now: number) => firstOf(365, now)],
} as const satisfies Readonly<Record<string, readonly [string, (now: number) => string]>>
type Period = keyof typeof PERIODS

const GROUPS: Readonly<Record<Exclude<UsageGroup, 'environment'>, string>> = {
  day: 'Day',
  model: 'Model',
  provider: 'Provider',
  key: 'API key',
  end_user: 'End user',
  project: 'Project',
}
type Group = keyof typeof GROUPS

export function Report() {
  const [period, setPeriod] = useState<Period>('days30')
  const [of, setOf] = useState<UsageQuestion['of']>('environment')
  const [by, setBy] = useState<Group>('day')
  const place = usePlace()
  const queries = useQueryClient()
  const fetching = useIsFetching({ queryKey: ['usage', place] }) > 0
  // The budgets beside the sums are spent by the same calls.
  const readAnew = (): void =>
    void Promise.all(
      [['usage', place] as const, ['budgets', place.org] as const].map((queryKey) => queries.invalidateQueries({ queryKey })),
    )
  const refresh = (
    <Button busy={fetching} onClick={readAnew}>
      Refresh
    </Button>
  )
  const question = { of, by, from: PERIODS[period][1](Date.now()) }
  return (
    <Section title="What was used" about="Days are those of UTC. Calls appear moments after they end." actions={refresh}>
      <div className="grid gap-x-4 sm:grid-cols-3">
        <SelectField label="Days" value={period} onChange={({ target }) => setPeriod(target.value as Period)}>
          {Object.entries(PERIODS).map(([value, [words]]) => (
            <option key={value} value={value}>
              {words}
            </option>
          ))}
        </SelectField>
        <SelectField
          label="Of"
          value={of}
          onChange={({ target }) => {
            setOf(target.value === 'organization' ? 'organization' : 'environment')
            // One environment is of one project.
            if (by === 'project') setBy('day')
          }}
        >
          <option value="environment">This project’s {place.environment} environment</option>
          <option value="organization">The whole organization</option>
        </SelectField>
        <SelectField label="Added up by" value={by} onChange={({ target }) => setBy(target.value as Group)}>
          {Object.entries(GROUPS)
            .filter(([value]) => value !== 'project' || of === 'organization')
            .map(([value, words]) => (
              <option key={value} value={value}>
                {words}
              </option>
            ))}
        </SelectField>
      </div>
      <Sums question={question} />
    </Section>
  )
}

type Question = UsageQuestion & { readonly by: Group }

function Sums({ question }: { readonly question: Question }) {
  const place = usePlace()
  const { by: _, ...whole } = question
  const sums = useQuery(usageQuery(place, question))
  const total = useQuery(usageQuery(place, whole))
  const error = sums.error ?? total.error
  if (error !== null) return <FailureNotice error={error} />
  if (sums.data === undefined || total.data === undefined) return <Loading />
  const [all] = total.data.data
  if (all === undefined || all.calls === 0) return <NoUse />
  return (
    <>
      <Totals sum={all} />
      {sums.data.cut && (
        <Notice tone="warn" title="There is more than is shown.">
          <p>The first 1,000 stand here. Ask for fewer days, or download every row.</p>
        </Notice>
      )}
      <Table report={sums.data} by={question.by} />
      <Download report={sums.data} />
    </>
  )
}

function Totals({ sum }: { readonly sum: UsageSum }) {
  const figures = [
    ['Calls', count(sum.calls), sum.failed_calls === 0 ? 'none failed' : `${count(sum.failed_calls)} failed`],
    ['Tokens read', count(sum.input_tokens), `${count(sum.cached_tokens)} from caches`],
    ['Tokens written', count(sum.output_tokens), sourceWords(sum)],
    ['Cost', costWords(sum), 'US dollars'],
  ] as const
  return (
    <dl className="mb-4 grid grid-cols-1 gap-3 sm:grid-cols-2 xl:grid-cols-4">
      {figures.map(([name, value, beside]) => (
        <div key={name} className="rounded-2xl border border-line bg-card px-5 py-4">
          <dt className="text-sm text-dim">{name}</dt>
          <dd className="mt-1 text-lg font-semibold tabular-nums">{value}</dd>
          <dd className="text-sm text-dim">{beside}</dd>
        </div>
      ))}
    </dl>
  )
}

function Table({ report, by }: { readonly report: UsageReport; readonly by: Group }) {
  const place = usePlace()
  const keys = useQuery({ ...recentKeysQuery(place), enabled: by === 'key' })
  const projects = useQuery({ ...projectsQuery(place.org), enabled: by === 'project' })
  const names = new Map([...(keys.data?.data ?? []), ...(projects.data ?? [])].map(({ id, name }) => [id, name]))
  return <SumTable heading={GROUPS[by]} sums={report.data} by={by} names={names} />
}

function Download({ report: { from, to } }: { readonly report: UsageReport }) {
  const { org } = usePlace()
  const may = useMay()
  const download = useMutation({
    gcTime: 0,
    mutationFn: () => api.call('usageExport', { params: { org }, query: { from: beginOf(from), until: endOf(to) } }),
    onSuccess: (csv) => save(csv, `usage-${from}-${to}.csv`),
  })
  if (!may('usageExport')) return null
  return (
    <div className="mt-4">
      {download.error !== null && <FailureNotice error={download.error} />}
      <div className="flex flex-wrap items-center justify-end gap-3">
        <p className="text-sm text-dim">Every call of these days, of the whole organization. The download is on record.</p>
        <Button busy={download.isPending} onClick={() => download.mutate()}>
          Download CSV
        </Button>
      </div>
    </div>
  )
}

/** Gives the text to the browser as a file. It comes whole or not at all: an answer that breaks off is an error before it gets here. */
function save(csv: string, name: string): void {
  const address = URL.createObjectURL(new Blob([csv], { type: 'text/csv' }))
  const link = document.createElement('a')
  link.href = address
  link.download = name
  link.click()
  URL.revokeObjectURL(address)
}

function NoUse() {
  const place = usePlace()
  const kept = useQuery(keptProvidersQuery(place))
  const routes = useQuery(modelRoutesQuery(place))
  const error = kept.error ?? routes.error
  if (error !== null) return <FailureNotice error={error} />
  if (kept.data === undefined || routes.data === undefined) return <Loading />
  const line = firstModelCall(window.location.origin, { routes: routes.data, providers: kept.data })
  return (
    <Empty
      title="No model was called in these days"
      command={line !== undefined && <CopyBox label="A first call, with a gateway key that may llm:call" text={line} />}
      action={
        line === undefined && (
          <Link to="/$org/$project/$environment/models" params={place} className={buttonClasses('primary')}>
            Keep a key of a provider
          </Link>
        )
      }
    >
      {line === undefined
        ? 'Calls need the key of a provider. Keep one first; then they are counted here.'
        : 'Run the line below with a key of this environment. What the call used stands here moments later.'}
    </Empty>
  )
}
