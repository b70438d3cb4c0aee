/** Owns how use and money are said. Refuses to call what has no known price free. */
import type { UsageRecord, UsageSum } from '../../api/resources.ts'

/** In the words' own language, whatever the reader's: a comma means one thing on the screen. */
const COUNT = new Intl.NumberFormat('en-US')
const DOLLARS = new Intl.NumberFormat('en-US', { style: 'currency', currency: 'USD', minimumFractionDigits: 2, maximumFractionDigits: 6 })
const CENTS = new Intl.NumberFormat('en-US', { style: 'currency', currency: 'USD' })
const LEAST = 0.000001

/** Of a dollar and more to the cent, of less to the millionth. `usd` is the API's text. */
export function dollars(usd: string): string {
  const amount = Number(usd)
  if (amount > 0 && amount < LEAST) return '< $0.000001'
  return (amount >= 1 ? CENTS : DOLLARS).format(amount)
}

export function count(figure: number): string {
  return COUNT.format(figure)
}

/** What calls cost together. Those without a known price are not in the sum, so they are named beside it, or stand for it. */
export function costWords({
  calls,
  cost_usd: cost,
  unpriced_calls: unpriced,
}: Pick<UsageSum, 'calls' | 'cost_usd' | 'unpriced_calls'>): string {
  if (unpriced === 0) return dollars(cost)
  const without = unpriced === calls ? 'no price' : `no price for ${count(unpriced)} of ${count(calls)} calls`
  return Number(cost) === 0 ? without : `${dollars(cost)}, and ${without}`
}

/** How the tokens are known. */
export function sourceWords({ calls, estimated_calls: estimated }: Pick<UsageSum, 'calls' | 'estimated_calls'>): string {
  if (estimated === 0) return 'measured'
  return estimated === calls ? 'estimated' : `${count(estimated)} of ${count(calls)} estimated`
}

/** What one call used and cost, and how its tokens are known. */
export function callWords({ source, input_tokens: read, output_tokens: written, cost_usd: cost }: Used): string {
  if (source === null) return 'use not known'
  const price = cost === null ? 'no price' : dollars(cost)
  return `${count(read ?? 0)} read, ${count(written ?? 0)} written, ${price}${source === 'estimated' ? ', estimated' : ''}`
}
type Used = Pick<UsageRecord, 'source' | 'input_tokens' | 'output_tokens' | 'cost_usd'>

/** How a call ended that has no whole answer, or one that is a refusal. */
export function statusWords({ status, error }: Pick<UsageRecord, 'status' | 'error'>): string {
  const said = status === 0 ? 'no answer' : String(status)
  return error === null ? said : `${said}, ${error}`
}

/** The parts of a budget that are gone and held, of a hundred; never more than there is room for. */
export function filled({
  amount_usd: amount,
  spent_usd: spent,
  held_usd: held,
}: {
  amount_usd: string
  spent_usd: string
  held_usd: string
}): {
  readonly spent: number
  readonly held: number
} {
  const all = Number(amount)
  // A budget of nothing is used up from the first.
  if (all === 0) return { spent: 100, held: 0 }
  const part = Math.min(100, (Number(spent) / all) * 100)
  return { spent: part, held: Math.min(100 - part, (Number(held) / all) * 100) }
}
