/** Sums of use as a table: what they are of, how many calls, the tokens and the cost, and how both are known. */
import type { UsageGroup, UsageSum } from '../../api/resources.ts'
import { costWords, count, sourceWords } from './figures.ts'

const HEAD = 'px-4 py-2.5 text-xs font-semibold text-dim'
const CELL = 'px-4 py-3 align-top'

interface SumTableProps {
  readonly heading: string
  readonly sums: readonly UsageSum[]
  readonly by: Exclude<UsageGroup, 'environment'>
  /** Names of ids; an id without one stands for itself. */
  readonly names: ReadonlyMap<string, string>
}

export function SumTable({ heading, sums, by, names }: SumTableProps) {
  if (sums.length === 0) return <p className="text-sm text-dim">{NOBODY[by]}</p>
  return (
    <div className="overflow-hidden rounded-2xl border border-line bg-card">
      <table className="w-full table-fixed border-collapse text-sm">
        <caption className="sr-only">Use by {heading.toLowerCase()}</caption>
        <thead>
          <tr className="border-b border-line">
            <th scope="col" className={`${HEAD} text-left`}>
              {heading}
            </th>
            <th scope="col" className={`${HEAD} w-20 text-right`}>
              Calls
            </th>
            <th scope="col" className={`${HEAD} hidden w-32 text-right sm:table-cell`}>
              Tokens read
            </th>
            <th scope="col" className={`${HEAD} hidden w-32 text-right sm:table-cell`}>
              Written
            </th>
            <th scope="col" className={`${HEAD} w-32 text-right sm:w-44`}>
              Cost
            </th>
          </tr>
        </thead>
        <tbody className="divide-y divide-line">
          {sums.map((sum) => {
            const of = sum[by]
            return <SumRow key={of ?? ''} of={of ?? 'not known'} name={names.get(of ?? '')} sum={sum} />
          })}
        </tbody>
      </table>
    </div>
  )
}

const NOBODY: Readonly<Record<SumTableProps['by'], string>> = {
  day: 'No day has any.',
  model: 'No model was called.',
  provider: 'No provider was called.',
  key: 'No key was used.',
  end_user: 'No call named an end user. Applications do so with the header Sallyport-User.',
  project: 'No project has any.',
}

function SumRow({ of, name, sum }: { readonly of: string; readonly name: string | undefined; readonly sum: UsageSum }) {
  const { calls, failed_calls: failed, input_tokens: read, cached_tokens: cached, output_tokens: written } = sum
  return (
    <tr>
      <th scope="row" className={`${CELL} text-left font-normal`}>
        {name !== undefined && <span className="block font-semibold break-words">{name}</span>}
        <span className={name === undefined ? 'font-semibold break-all' : 'font-mono text-xs break-all text-dim'}>{of}</span>
        <span className="mt-0.5 block text-xs text-dim sm:hidden">
          {count(read)} read, {count(written)} written
        </span>
      </th>
      <td className={`${CELL} text-right tabular-nums`}>
        {count(calls)}
        {failed > 0 && <span className="block text-xs text-dim">{count(failed)} failed</span>}
      </td>
      <td className={`${CELL} hidden text-right tabular-nums sm:table-cell`}>
        {count(read)}
        {cached > 0 && <span className="block text-xs text-dim">{count(cached)} cached</span>}
      </td>
      <td className={`${CELL} hidden text-right tabular-nums sm:table-cell`}>{count(written)}</td>
      <td className={`${CELL} text-right tabular-nums`}>
        {costWords(sum)}
        <span className="block text-xs text-dim">{sourceWords(sum)}</span>
      </td>
    </tr>
  )
}
