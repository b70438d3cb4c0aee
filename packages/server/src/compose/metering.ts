/** Owns what measures model calls: the prices as configured, budgets with what they are drawn from, and the meter over both. */
import { readFileSync } from 'node:fs'
import { createPriceBook, formatId, HELD_PRICES, readPriceBook } from '@sallyport/core'
import type { PriceBookInput } from '@sallyport/core'
import { ZodError } from 'zod'
import { appendAudit } from '../audit/index.ts'
import { ConfigError } from '../config.ts'
import type { Config } from '../config.ts'
import { budgetDraw, budgetFindOf, budgetTell } from '../db/index.ts'
import type { Budget, Database, TenantTx } from '../db/index.ts'
import { createBudgets, createUsageMeter } from '../usage/index.ts'
import type { BudgetStore, UsageMeter } from '../usage/index.ts'
import type { Ground } from './parts.ts'

export interface OpenMetering {
  readonly meter: UsageMeter
  /** The models that have a price, or whole kinds of them by `*` at their end; one may be there several times. */
  readonly priced: readonly { readonly provider: string; readonly model: string }[]
  /** Before the log of uses is closed: gives back what is held of budgets. */
  close(): Promise<void>
}

/** @throws ConfigError for a price book that can't be taken. */
export function openMetering({ config, database, useLog, clock, logger, metrics, node }: Ground): OpenMetering {
  const budgets = createBudgets({
    store: budgetStore(database),
    node,
    clock,
    logger,
    onRefusal: (holder) => metrics.count('sallyport_budget_refusals_total', { holder }),
  })
  const stopListening = database.onChange((change) => budgets.heard(change))
  budgets.start()
  const books = booksOf(config)
  return {
    priced: books.flatMap(({ prices }) => prices),
    meter: createUsageMeter({ prices: createPriceBook(books), budgets, useLog, clock, metrics, node }),
    async close() {
      stopListening()
      await budgets.close()
    },
  }
}

/** What budgets are read and drawn from, and where it is put on record that one is used up. */
export function budgetStore(database: Pick<Database, 'withTenant'>): BudgetStore {
  return {
    read: (org, holders) => database.withTenant(org, (tx) => budgetFindOf(tx, holders)),
    draw: (org, ask) => database.withTenant(org, (tx) => budgetDraw(tx, ask)),
    tell: (org, budget, startsOn, spentNano) => database.withTenant(org, (tx) => tell(tx, budget, startsOn, spentNano)),
  }
}

async function tell(tx: TenantTx, budget: Budget, startsOn: string, spentNano: number): Promise<void> {
  if (!(await budgetTell(tx, budget.id, startsOn))) return
  await appendAudit(tx, {
    action: 'budget.exhausted',
    actor: 'system',
    target: formatId('bud', budget.id),
    detail: {
      enforcement: budget.enforcement,
      period: budget.period,
      starts_on: startsOn,
      amount_nano_usd: String(budget.amountNano),
      spent_nano_usd: String(spentNano),
    },
  })
}

/** The later one counts. */
function booksOf({ usage: { prices } }: Config): PriceBookInput[] {
  if (prices === undefined) return [HELD_PRICES]
  let text: string
  try {
    text = readFileSync(prices, 'utf8')
  } catch {
    throw refused('names a file that can not be read')
  }
  return [HELD_PRICES, readOwn(text)]
}

function readOwn(text: string): ReturnType<typeof readPriceBook> {
  let book: unknown
  try {
    book = JSON.parse(text)
  } catch (error) {
    const at = /position (?<position>\d+)/u.exec((error as Error).message)?.groups?.['position']
    throw refused(`names a file that is no JSON${at === undefined ? '' : ` from line ${text.slice(0, Number(at)).split('\n').length} on`}`)
  }
  try {
    return readPriceBook(book)
  } catch (error) {
    if (!(error instanceof ZodError)) throw error
    throw refused(
      `names a file that is no price book: ${error.issues.map(({ path, message }) => `${path.join('/') || 'it'} ${message}`).join('; ')}`,
    )
  }
}

function refused(reason: string): ConfigError {
  return new ConfigError([{ setting: 'usage.prices', reason }])
}
