/** Owns what measures model calls: the prices as configured, budgets with what they are drawn from, and the meter over both. */
import { readFileSync } from 'node:fs'
import { createPriceBook, formatId, HELD_PRICES, readPriceBook } from '@sallyport/core'
import type { PriceBookInput } from '@sallyport/core'
import { isNode, LineCounter, parseDocument } from 'yaml'
import { ZodError } from 'zod'
import { appendAudit } from '../audit/index.ts'
import { ConfigError } from '../config.ts'
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
  const books = booksAt(config.usage.prices)
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

/** The prices that are known, and an operator's book: the later one counts. @throws ConfigError with the place and the reason of each fault */
export function booksAt(path: string | undefined): PriceBookInput[] {
  if (path === undefined) return [HELD_PRICES]
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch {
    throw refused('names a file that can not be read')
  }
  return [HELD_PRICES, readOwn(text)]
}

/** JSON, or YAML without aliases, which is the same with comments. */
function readOwn(text: string): ReturnType<typeof readPriceBook> {
  const lines = new LineCounter()
  const document = parseDocument(text, { schema: 'core', uniqueKeys: true, merge: false, lineCounter: lines, prettyErrors: true })
  const [fault] = [...document.errors, ...document.warnings]
  if (fault !== undefined) throw refused(`names a file that is neither JSON nor YAML, from line ${fault.linePos?.[0].line ?? 1} on`)
  try {
    return readPriceBook(document.toJS({ maxAliasCount: 0 }))
  } catch (error) {
    if (error instanceof ReferenceError) throw refused('names a file with aliases')
    if (!(error instanceof ZodError)) throw error
    const faults = error.issues.map(({ path, message }) => `line ${lineOf(document, lines, path)}: ${path.join('/') || 'it'} ${message}`)
    throw refused(`names a file that is no price book: ${faults.join('; ')}`)
  }
}

/** Where the value at `path` stands, or what should hold it. */
function lineOf(document: ReturnType<typeof parseDocument>, lines: LineCounter, path: readonly PropertyKey[]): number {
  const node = path.length === 0 ? document.contents : document.getIn(path, true)
  if (!isNode(node)) return path.length === 0 ? 1 : lineOf(document, lines, path.slice(0, -1))
  return lines.linePos(node.range?.[0] ?? 0).line
}

function refused(reason: string): ConfigError {
  return new ConfigError([{ setting: 'usage.prices', reason }])
}
