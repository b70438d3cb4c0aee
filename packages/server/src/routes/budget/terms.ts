/** Owns what a budget says in the words of the contract and of the audit log. Refuses an amount beyond what is counted. */
import { nanoOf, usdOf } from '@sallyport/core'
import type { Budget } from '../../db/index.ts'
import { ProblemError } from '../../http/index.ts'

/** As the database takes it: nine million dollars. */
const MOST = 9_000_000_000_000_000

/** @throws ProblemError `validation_failed` */
export function amountOf(usd: string): number {
  const nano = nanoOf(usd)
  if (nano !== undefined && nano <= MOST) return nano
  const faults = [{ pointer: '/body/amount_usd', reason: `is at most ${usdOf(MOST)}` }]
  throw new ProblemError('validation_failed', 'The amount is too large.', { faults })
}

export function termsDetail({ amountNano, enforcement, unpriced }: Pick<Budget, 'amountNano' | 'enforcement' | 'unpriced'>) {
  return { amount_usd: usdOf(amountNano), enforcement, unpriced }
}
