/** Owns answering how much was used: which days, added up by what. Refuses names that mean nothing, and days that end before they begin. */
import type { z } from 'zod'
import { schemas } from '@sallyport/contract'
import { parseId } from '@sallyport/core'
import { usageSums } from '../../db/index.ts'
import type { TenantTx, UsageDimension, UsageQuestion } from '../../db/index.ts'
import { ProblemError } from '../../http/index.ts'
import { presentSum } from './present.ts'

type Query = z.output<typeof schemas.usageQuery>

const MOST = 1_000
const DAYS = 30
const DAY_MS = 86_400_000

/** @throws ProblemError `validation_failed` */
export async function usageReport(
  tx: TenantTx,
  place: UsageQuestion['place'],
  { query, now }: { readonly query: Query; readonly now: number },
): Promise<z.input<typeof schemas.usageReport>> {
  const to = query.to ?? dayOf(now)
  const from = query.from ?? dayOf(Date.parse(to) - DAYS * DAY_MS)
  if (from > to) throw refused('/query/from', 'is after the last day')
  const by = groupsOf(query)
  const key = query.key === undefined ? undefined : parseId('key', query.key)
  if (query.key !== undefined && key === undefined) throw refused('/query/key', 'is no key')
  const sums = await usageSums(tx, {
    place,
    from,
    to,
    by,
    key,
    endUser: query.end_user,
    provider: query.provider,
    model: query.model,
    limit: MOST + 1,
  })
  return { from, to, group_by: [...by], data: sums.slice(0, MOST).map(presentSum), cut: sums.length > MOST }
}

function groupsOf({ group_by: text, key, end_user: endUser }: Query): readonly UsageDimension[] {
  const names = text === undefined ? [] : text.split(',')
  const by = schemas.USAGE_GROUPS.filter((group) => names.includes(group))
  if (by.length !== names.length) throw refused('/query/group_by', `must be some of ${schemas.USAGE_GROUPS.join(', ')}, each once`)
  const ofUsers = by.includes('end_user') || endUser !== undefined
  if (ofUsers && (by.includes('key') || key !== undefined)) throw refused('/query/group_by', 'end users and keys are not added up together')
  return by
}

function dayOf(at: number): string {
  return new Date(at).toISOString().slice(0, 10)
}

function refused(pointer: string, reason: string): ProblemError {
  return new ProblemError('validation_failed', 'The query is not valid.', { faults: [{ pointer, reason }] })
}
