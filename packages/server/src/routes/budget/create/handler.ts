import { formatId, hasCode, newId, parseId } from '@sallyport/core'
import type { OrgId } from '@sallyport/core'
import { appendAudit } from '../../../audit/index.ts'
import { budgetInsert, DatabaseError, organizationFind } from '../../../db/index.ts'
import type { Budget } from '../../../db/index.ts'
import { ProblemError } from '../../../http/index.ts'
import { principalRef } from '../../../identity/index.ts'
import { implement } from '../../operation.ts'
import { found, inOrganization } from '../../tenant.ts'
import { presentBudgets } from '../present.ts'
import { amountOf, termsDetail } from '../terms.ts'

export const budgetCreate = implement('budgetCreate', (call) => {
  const { body, ids, principal } = call
  const { period, enforcement, unpriced } = body
  const holder = holderOf(ids.org, body)
  const amountNano = amountOf(body.amount_usd)
  const createdBy = principalRef(principal)
  return inOrganization(call, async (tx) => {
    found(await organizationFind(tx))
    const wanted = { id: newId('bud'), ...holder, amountNano, period, enforcement, unpriced, createdBy }
    const made = await refusingUnfit(budgetInsert(tx, wanted))
    const of = body.project ?? body.key ?? formatId('org', ids.org)
    await appendAudit(tx, {
      action: 'budget.created',
      actor: createdBy,
      target: formatId('bud', made.id),
      detail: { of, period, ...termsDetail(made) },
    })
    return (await presentBudgets(tx, [made]))[0]!
  })
})

function holderOf(
  org: OrgId,
  { project, key }: { readonly project?: string | undefined; readonly key?: string | undefined },
): Pick<Budget, 'holder' | 'holderId'> {
  if (project !== undefined) return { holder: 'project', holderId: parseId('proj', project) ?? refuse('project') }
  if (key !== undefined) return { holder: 'key', holderId: parseId('key', key) ?? refuse('key') }
  return { holder: 'organization', holderId: org }
}

function refuse(what: 'project' | 'key'): never {
  throw new ProblemError('validation_failed', 'There is no such project or key here.', {
    faults: [{ pointer: `/body/${what}`, reason: `is no ${what} of this organization` }],
  })
}

async function refusingUnfit(insert: Promise<Budget>): Promise<Budget> {
  try {
    return await insert
  } catch (error) {
    if (!hasCode(error, 'conflict') || !(error instanceof DatabaseError)) throw error
    if (error.constraint !== 'budget_one') return refuse(error.constraint?.includes('key_id') === true ? 'key' : 'project')
    throw new ProblemError('conflict', 'There is a budget of this period already: change that one.', { cause: error })
  }
}
