/** Calls that went out, as figures: no query, header or body of any of them is kept. */
import type { RequestRecord } from '../../api/resources.ts'
import { Badge } from '../../ui/badge.tsx'
import type { Tone } from '../../ui/badge.tsx'
import { Moment } from '../../ui/time.tsx'

const HEAD = 'px-4 py-2.5 text-left text-xs font-semibold text-dim'
const CELL = 'px-4 py-3 align-top'

export function RequestTable({ label, requests }: { readonly label: string; readonly requests: readonly RequestRecord[] }) {
  return (
    <div className="overflow-hidden rounded-2xl border border-line bg-card">
      <table className="w-full table-fixed border-collapse text-sm">
        <caption className="sr-only">{label}</caption>
        <thead>
          <tr className="border-b border-line">
            <th scope="col" className={HEAD}>
              Call
            </th>
            <th scope="col" className={`${HEAD} hidden w-24 sm:table-cell`}>
              Source
            </th>
            <th scope="col" className={`${HEAD} w-18 sm:w-20`}>
              Status
            </th>
            <th scope="col" className={`${HEAD} w-16 text-right sm:w-20`}>
              ms
            </th>
            <th scope="col" className={`${HEAD} hidden w-44 text-right lg:table-cell`}>
              Time
            </th>
          </tr>
        </thead>
        <tbody className="divide-y divide-line">
          {requests.map((request) => (
            <RequestRow key={request.id} request={request} />
          ))}
        </tbody>
      </table>
    </div>
  )
}

function RequestRow({ request }: { readonly request: RequestRecord }) {
  const { id, at, integration, model_provider: modelProvider, method, path, status, source, error, duration_ms: durationMs } = request
  const where = integration ?? modelProvider
  return (
    <tr>
      <td className={CELL}>
        <p className="font-mono break-all">
          <span className="font-semibold">{method}</span> {path}
        </p>
        <p className="mt-0.5 text-xs break-all text-dim">
          {where !== null && <>{where} · </>}
          <span className="sm:hidden">{source} · </span>
          <span className="lg:hidden">
            <Moment at={at} />
          </span>
          <span className="max-sm:hidden">
            <span className="lg:hidden"> · </span>
            <span className="font-mono">{id}</span>
          </span>
        </p>
      </td>
      <td className={`${CELL} hidden capitalize sm:table-cell`}>{source}</td>
      <td className={CELL}>
        <Badge tone={toneOf(status)}>{status}</Badge>
        {error !== null && <p className="mt-1 text-xs break-words text-dim">{error}</p>}
      </td>
      <td className={`${CELL} text-right tabular-nums`}>{durationMs < 10 ? durationMs.toFixed(1) : Math.round(durationMs)}</td>
      <td className={`${CELL} hidden text-right text-dim lg:table-cell`}>
        <Moment at={at} />
      </td>
    </tr>
  )
}

function toneOf(status: number): Tone {
  if (status >= 500) return 'bad'
  return status >= 400 ? 'warn' : 'good'
}
