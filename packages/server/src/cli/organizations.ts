/**
 * `sallyport organizations ...`: seeing, exporting and ending organizations on the machine itself, without a key. Owns the words and the figures that an
 * operator sees. Refuses to end one whose name was not typed out.
 *
 *   organizations list                                                       one line each
 *   organizations export <org_...> [--without-requests]                      JSON Lines, to standard output
 *   organizations delete <org_...> --confirm <name> [--grace-s n] [--wait-for-providers-s n]
 *   organizations restore <org_...>                                          takes a deletion back while it waits
 */
import { parseArgs } from 'node:util'
import { formatId, hasCode, parseId } from '@sallyport/core'
import type { OrgId } from '@sallyport/core'
import { appendAudit } from '../audit/index.ts'
import type { Keyroom } from '../compose/index.ts'
import { organizationFind, ownerList } from '../db/index.ts'
import type { OrganizationDeletion } from '../db/index.ts'
import { organizationLines } from '../routes/index.ts'
import { CommandError } from './command.ts'
import type { CommandContext } from './command.ts'
import { EXIT } from './explain.ts'
import { enterKeyroom } from './keyroom.ts'

const ACTOR = 'system'
const PAGE = 500
const MOST_GRACE_S = 2_592_000
const MOST_PATIENCE_S = 604_800
/** What does the same while a gateway runs. */
const INSTEAD = 'GET /api/v1/orgs/{org}/export, POST /api/v1/orgs/{org}/deletion'
const USAGE = `sallyport organizations list
sallyport organizations export <org_...> [--without-requests]
sallyport organizations delete <org_...> --confirm <its name> [--grace-s <0 to ${MOST_GRACE_S}>] [--wait-for-providers-s <0 to ${MOST_PATIENCE_S}>]
sallyport organizations restore <org_...>`

type Asked =
  | { readonly verb: 'list' }
  | { readonly verb: 'export'; readonly org: OrgId; readonly requests: boolean }
  | { readonly verb: 'delete'; readonly org: OrgId; readonly confirm: string; readonly graceS: number; readonly patienceS: number }
  | { readonly verb: 'restore'; readonly org: OrgId }

export async function organizationsCommand(context: CommandContext): Promise<number> {
  const asked = read(context.args)
  if (asked === undefined) {
    context.print(USAGE)
    return EXIT.usage
  }
  const room = await enterKeyroom(context.config, INSTEAD, true)
  try {
    if (asked.verb === 'list') return await list(room, context)
    if ((await room.database.withTenant(asked.org, organizationFind)) === undefined) throw noSuch(asked.org)
    if (asked.verb === 'export') return await exportOne(room, asked, context)
    return asked.verb === 'delete' ? await deleteOne(room, asked, context) : await restoreOne(room, asked.org, context)
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
        confirm: { type: 'string' },
        'grace-s': { type: 'string' },
        'wait-for-providers-s': { type: 'string' },
        'without-requests': { type: 'boolean' },
        config: { type: 'string' },
      },
    })
    const [verb, named, ...rest] = positionals
    const { config: _, 'without-requests': without, ...deleting } = values
    if (rest.length > 0 || (verb !== 'export' && without === true) || (verb !== 'delete' && Object.keys(deleting).length > 0))
      return undefined
    if (verb === 'list') return named === undefined ? { verb } : undefined
    const org = parseId('org', named ?? '')
    if (org === undefined) return undefined
    if (verb === 'export') return { verb, org, requests: without !== true }
    if (verb === 'restore') return { verb, org }
    const graceS = seconds(values['grace-s'], 0, MOST_GRACE_S)
    const patienceS = seconds(values['wait-for-providers-s'], 86_400, MOST_PATIENCE_S)
    if (verb !== 'delete' || values.confirm === undefined || graceS === undefined || patienceS === undefined) return undefined
    return { verb, org, confirm: values.confirm, graceS, patienceS }
  } catch {
    // parseArgs throws for options it doesn't know: the usage says which there are.
    return undefined
  }
}

function seconds(text: string | undefined, otherwise: number, most: number): number | undefined {
  if (text === undefined) return otherwise
  return /^\d{1,7}$/u.test(text) && Number(text) <= most ? Number(text) : undefined
}

async function list({ database }: Keyroom, { json, print }: CommandContext): Promise<number> {
  const rows: { id: string; name: string; state: string; owners: number; created_at: string }[] = []
  let after: OrgId | undefined
  do {
    const page: readonly OrgId[] = await database.lookups.organizationPage({ after, limit: PAGE })
    for (const org of page) {
      const row = await database.withTenant(org, async (tx) => {
        const found = await organizationFind(tx)
        return found && { ...found, owners: (await ownerList(tx)).length }
      })
      if (row === undefined) continue
      const { name, state, owners, createdAt } = row
      rows.push({ id: formatId('org', org), name, state, owners, created_at: createdAt.toISOString() })
    }
    after = page.length === PAGE ? page.at(-1) : undefined
  } while (after !== undefined)
  const text = rows.map(({ id, state, owners, name }) => `${id}  ${state}  ${owners} owners  ${name}`)
  print(json ? JSON.stringify(rows, undefined, 2) : [...text, `${rows.length} organizations.`].join('\n'))
  return EXIT.done
}

/** On record before and after, like an export over HTTP. What was broken off has no last line. */
async function exportOne(
  { database, now }: Keyroom,
  { org, requests }: Extract<Asked, { verb: 'export' }>,
  { config, print }: CommandContext,
): Promise<number> {
  const event = { actor: ACTOR, target: formatId('org', org) }
  await database.withTenant(org, (tx) => appendAudit(tx, { ...event, action: 'organization.exported', detail: { requests } }))
  let rows = 0
  const wanted = { org, publicUrl: config.publicUrl, requests, at: new Date(now()) }
  for await (const piece of organizationLines(database, wanted, () => (rows += 1))) print(piece.slice(0, -1))
  const detail = { requests, rows, complete: true }
  await database.withTenant(org, (tx) => appendAudit(tx, { ...event, action: 'organization.export_ended', detail }))
  return EXIT.done
}

async function deleteOne(
  { deletions }: Keyroom,
  { org, ...wanted }: Extract<Asked, { verb: 'delete' }>,
  { json, print }: CommandContext,
): Promise<number> {
  const made = await refusing(() => deletions.request(org, ACTOR, wanted))
  const id = formatId('org', org)
  const text = `${id} is closed. It can be taken back until ${made.dueAt.toISOString()} (sallyport organizations restore ${id}); then a running gateway ends its connections, destroys its keys and deletes its rows.`
  print(json ? JSON.stringify(shown(org, made), undefined, 2) : text)
  return EXIT.done
}

async function restoreOne({ deletions }: Keyroom, org: OrgId, { json, print }: CommandContext): Promise<number> {
  await refusing(() => deletions.takeBack(org, ACTOR))
  print(json ? JSON.stringify({ id: formatId('org', org), state: 'active' }) : `${formatId('org', org)} is open again, as it was.`)
  return EXIT.done
}

/** What a person at the terminal can mend is said in its own words. */
async function refusing<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (hasCode(error, 'confirmation_mismatch'))
      throw new CommandError('Nothing was done: --confirm is not its name. See sallyport organizations list.')
    if (hasCode(error, 'not_found')) throw new CommandError('It is not being deleted.')
    if (hasCode(error, 'conflict')) throw new CommandError('It is being deleted already, and further than to be taken back or begun again.')
    throw error
  }
}

function shown(org: OrgId, { state, requestedAt, dueAt }: OrganizationDeletion): object {
  return { id: formatId('org', org), state, requested_at: requestedAt.toISOString(), due_at: dueAt.toISOString() }
}

function noSuch(org: OrgId): CommandError {
  return new CommandError(`There is no organization ${formatId('org', org)}.`)
}
