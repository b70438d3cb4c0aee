/**
 * `sallyport usage ...`: what model calls used and may cost, of one organization or of all, for whoever runs the installation. Owns the words and the figures
 * that an operator sees; the sums are those of the API. Refuses to change anything.
 *
 *   usage list [--org <org_...>] [--from <day>] [--to <day>] [--by <day,model,...>]    sums of each organization
 *   usage budgets [--org <org_...>]                                                   each budget, with what is spent and set aside
 */
import { parseArgs } from 'node:util'
import type { z } from 'zod'
import { schemas } from '@sallyport/contract'
import { formatId, hasCode, parseId } from '@sallyport/core'
import type { BudgetId, OrgId } from '@sallyport/core'
import type { Keyroom } from '../compose/index.ts'
import { budgetList, organizationFind } from '../db/index.ts'
import type { Budget } from '../db/index.ts'
import { presentBudgets, usageReport } from '../routes/index.ts'
import { CommandError } from './command.ts'
import type { CommandContext } from './command.ts'
import { EXIT } from './explain.ts'
import { enterKeyroom } from './keyroom.ts'

const PAGE = 500
/** What does the same while a gateway runs. */
const INSTEAD = 'GET /api/v1/orgs/{org}/usage, GET /api/v1/orgs/{org}/budgets'
const USAGE = `sallyport usage list [--org <org_...>] [--from <2026-01-31>] [--to <2026-01-31>] [--by <${schemas.USAGE_GROUPS.join(',')}>]
sallyport usage budgets [--org <org_...>]`

type Query = z.output<typeof schemas.usageQuery>
type Report = z.input<typeof schemas.usageReport>

interface Asked {
  readonly verb: 'list' | 'budgets'
  /** Undefined: all of them. */
  readonly org: OrgId | undefined
  readonly query: Query
}

interface Named {
  readonly id: string
  readonly name: string
}

export async function usageCommand(context: CommandContext): Promise<number> {
  const asked = read(context.args)
  if (asked === undefined) {
    context.print(USAGE)
    return EXIT.usage
  }
  const room = await enterKeyroom(context.config, INSTEAD, false)
  try {
    const orgs = asked.org === undefined ? await everyOrganization(room) : [asked.org]
    return asked.verb === 'list' ? await list(room, orgs, asked.query, context) : await budgets(room, orgs, context)
  } finally {
    await room.close()
  }
}

function read(args: readonly string[]): Asked | undefined {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        org: { type: 'string' },
        from: { type: 'string' },
        to: { type: 'string' },
        by: { type: 'string' },
        config: { type: 'string' },
      },
    })
    const [verb, ...rest] = positionals
    const { from, to, by } = values
    const org = values.org === undefined ? undefined : parseId('org', values.org)
    if (rest.length > 0 || (values.org !== undefined && org === undefined)) return undefined
    if (verb === 'budgets') return [from, to, by].every((word) => word === undefined) ? { verb, org, query: {} } : undefined
    const query = schemas.usageQuery.safeParse({ from, to, group_by: by })
    return verb === 'list' && query.success ? { verb, org, query: query.data } : undefined
  } catch {
    // parseArgs throws for options it doesn't know: the usage says which there are.
    return undefined
  }
}

async function everyOrganization({ database }: Keyroom): Promise<OrgId[]> {
  const all: OrgId[] = []
  let after: OrgId | undefined
  do {
    const page: readonly OrgId[] = await database.lookups.organizationPage({ after, limit: PAGE })
    all.push(...page)
    after = page.length === PAGE ? page.at(-1) : undefined
  } while (after !== undefined)
  return all
}

/** @throws CommandError for an organization that is not there, or for sums that can't be made. */
async function list({ database, now }: Keyroom, orgs: readonly OrgId[], query: Query, { json, print }: CommandContext): Promise<number> {
  const reports: (Named & { report: Report })[] = []
  for (const org of orgs) {
    const report = await database
      .withTenant(org, async (tx) => ({
        ...namedOf(org, await organizationFind(tx)),
        report: await usageReport(tx, null, { query, now: now() }),
      }))
      .catch(refuseSums)
    reports.push(report)
  }
  if (json)
    print(
      JSON.stringify(
        reports.map(({ id, name, report }) => ({ organization: id, name, ...report })),
        undefined,
        2,
      ),
    )
  else print([...reports.flatMap(reportLines), `${reports.length} organizations.`].join('\n'))
  return EXIT.done
}

function namedOf(org: OrgId, row: { readonly name: string } | undefined): Named {
  if (row === undefined) throw new CommandError(`There is no organization ${formatId('org', org)}.`)
  return { id: formatId('org', org), name: row.name }
}

/** The API's refusal, as a person at a terminal is told it. */
function refuseSums(error: unknown): never {
  if (!hasCode(error, 'validation_failed')) throw error
  throw new CommandError(
    `These can't be added up: --by takes some of ${schemas.USAGE_GROUPS.join(', ')}, each once, and key and end_user not together; --from is not after --to.`,
  )
}

function reportLines({ id, name, report: { from, to, group_by: by, data, cut } }: Named & { readonly report: Report }): string[] {
  const lines = data.map((sum) => [...by.map((group) => sum[group] ?? 'not known'), ...figures(sum)].join('  '))
  return [`${id}  ${name}  ${from} to ${to}`, ...lines.map((line) => `  ${line}`), ...(cut ? ['  There are more than are shown.'] : [])]
}

/** A call without a known price is never counted as free. */
function figures(sum: Report['data'][number]): string[] {
  const { calls, unpriced_calls: unpriced, estimated_calls: estimated, cost_usd: cost } = sum
  return [
    `${calls} calls`,
    `${sum.input_tokens} tokens read`,
    `${sum.output_tokens} written`,
    ...(estimated === 0 ? [] : [`${estimated} calls estimated`]),
    ...(unpriced === calls && calls > 0 ? [] : [`${cost} USD`]),
    ...(unpriced === 0 ? [] : [`no price for ${unpriced} calls`]),
  ]
}

async function budgets({ database }: Keyroom, orgs: readonly OrgId[], { json, print }: CommandContext): Promise<number> {
  const found: ({ organization: string } & z.input<typeof schemas.budget>)[] = []
  for (const org of orgs) {
    const rows = await database.withTenant(org, async (tx) => {
      const { id } = namedOf(org, await organizationFind(tx))
      const all: Budget[] = []
      let after: BudgetId | undefined
      do {
        const page: readonly Budget[] = await budgetList(tx, { after, limit: PAGE })
        all.push(...page)
        after = page.length === PAGE ? page.at(-1)!.id : undefined
      } while (after !== undefined)
      return (await presentBudgets(tx, all)).map((budget) => ({ organization: id, ...budget }))
    })
    found.push(...rows)
  }
  const text = found.map(
    ({ organization, id, holder, project, key, amount_usd: amount, period, enforcement, spent_usd: spent, held_usd: held }) =>
      [
        organization,
        id,
        project ?? key ?? holder,
        `${amount} USD ${period === 'total' ? 'in total' : `a ${period}`}`,
        enforcement,
        `${spent} spent`,
        `${held} set aside`,
      ].join('  '),
  )
  print(json ? JSON.stringify(found, undefined, 2) : [...text, `${found.length} budgets.`].join('\n'))
  return EXIT.done
}
