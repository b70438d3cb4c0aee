/**
 * `sallyport connections ...`: seeing and ending connections on the machine itself, without a key. Owns the words and the figures that an operator sees.
 * Refuses to end more than one connection without being told twice.
 *
 *   connections list --org <id> [--provider <id>] [--user <end user>]    one line each
 *   connections revoke <conn_...> --org <id>                             ends one
 *   connections revoke --org <id> <filter> [--yes]                       ends many: without --yes only says what that would end
 *
 * A filter is any of --project, --environment, --integration, --provider; or --everything.
 */
import { parseArgs } from 'node:util'
import { formatId, parseId } from '@sallyport/core'
import type { ConnectionId, Environment, OrgId, ProjectId } from '@sallyport/core'
import type { Keyroom } from '../compose/index.ts'
import { connectionFindAnywhere, connectionList, projectList } from '../db/index.ts'
import type { BlastRadius, BulkFilter, Connection } from '../db/index.ts'
import { endConnections } from '../revocation/index.ts'
import { CommandError } from './command.ts'
import type { CommandContext } from './command.ts'
import { EXIT } from './explain.ts'
import { enterKeyroom } from './keyroom.ts'

const ACTOR = 'system'
const PAGE = 200
const ENVIRONMENTS: readonly Environment[] = ['live', 'test']
/** How often a bulk revocation that a gateway has taken over is looked at. */
const LOOK_MS = 200
/** What does the same while a gateway runs. */
const INSTEAD = 'DELETE .../connections/{connection}, POST /api/v1/orgs/{org}/bulk-revocations'
const USAGE = `sallyport connections list --org <org_...> [--provider <id>] [--user <end user>]
sallyport connections revoke <conn_...> --org <org_...>
sallyport connections revoke --org <org_...> [--project <proj_...>] [--environment <live|test>] [--integration <int_...>] [--provider <id>] [--yes]
sallyport connections revoke --org <org_...> --everything [--yes]`

interface Asked {
  readonly verb: 'list' | 'revoke'
  readonly org: OrgId
  readonly connection: ConnectionId | undefined
  readonly filter: BulkFilter | undefined
  readonly provider: string | undefined
  readonly user: string | undefined
  readonly yes: boolean
}

export async function connectionsCommand(context: CommandContext): Promise<number> {
  const asked = read(context.args)
  if (asked === undefined) {
    context.print(USAGE)
    return EXIT.usage
  }
  const room = await enterKeyroom(context.config, INSTEAD, true)
  try {
    if (asked.verb === 'list') return await list(room, asked, context)
    return asked.connection === undefined ? await revokeMany(room, asked, context) : await revokeOne(room, asked, asked.connection, context)
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
        project: { type: 'string' },
        environment: { type: 'string' },
        integration: { type: 'string' },
        provider: { type: 'string' },
        user: { type: 'string' },
        everything: { type: 'boolean' },
        yes: { type: 'boolean' },
        config: { type: 'string' },
      },
    })
    const [verb, named, ...rest] = positionals
    const org = parseId('org', values.org ?? '')
    if (org === undefined || rest.length > 0) return undefined
    const { provider, user, yes = false } = values
    if (verb === 'list' && named === undefined) return { verb, org, connection: undefined, filter: undefined, provider, user, yes }
    if (verb !== 'revoke') return undefined
    const connection = named === undefined ? undefined : parseId('conn', named)
    const filter = filterOf(values)
    // One connection or a filter, and neither of them misspelt: a filter that fell away would end more than was asked.
    if ((named === undefined) !== (filter !== undefined) || (named !== undefined && connection === undefined)) return undefined
    return { verb, org, connection, filter, provider, user, yes }
  } catch {
    // parseArgs throws for options it doesn't know: the usage says which there are.
    return undefined
  }
}

interface FilterWords {
  readonly project?: string | undefined
  readonly environment?: string | undefined
  readonly integration?: string | undefined
  readonly provider?: string | undefined
  readonly everything?: boolean | undefined
}

/** Undefined for no filter, for one beside --everything, and for one that is misspelt. */
function filterOf({ project, environment, integration, provider, everything }: FilterWords): BulkFilter | undefined {
  const named = [project, environment, integration, provider].some((word) => word !== undefined)
  if (named === (everything === true)) return undefined
  const place: { project?: ProjectId; environment?: Environment } = {}
  if (project !== undefined) {
    const id = parseId('proj', project)
    if (id === undefined) return undefined
    place.project = id
  }
  if (environment !== undefined) {
    const known = ENVIRONMENTS.find((one) => one === environment)
    if (known === undefined) return undefined
    place.environment = known
  }
  const id = integration === undefined ? undefined : parseId('int', integration)
  if (integration !== undefined && id === undefined) return undefined
  return { place, integration: id, provider }
}

async function list(room: Keyroom, { org, provider, user }: Asked, { json, print }: CommandContext): Promise<number> {
  const found: Connection[] = []
  for (const { id: project } of await room.database.withTenant(org, (tx) => projectList(tx, { limit: 1_000 }))) {
    for (const environment of ENVIRONMENTS) {
      let after: ConnectionId | undefined
      do {
        const from = after
        const filter = { endUserId: user }
        const page = await room.database.withTenant(org, (tx) =>
          connectionList(tx, { project, environment }, filter, { after: from, limit: PAGE }),
        )
        found.push(...page.filter((connection) => provider === undefined || connection.provider === provider))
        after = page.length === PAGE ? page.at(-1)!.id : undefined
      } while (after !== undefined)
    }
  }
  const rows = found.map((one) => ({
    id: formatId('conn', one.id),
    project: formatId('proj', one.project),
    environment: one.environment,
    integration: one.integrationSlug,
    provider: one.provider,
    end_user: one.endUserId,
    status: one.status,
  }))
  const text = rows.map((row) => `${row.id}  ${row.environment}  ${row.integration}  ${row.status}  ${row.end_user}`)
  print(json ? JSON.stringify(rows, undefined, 2) : [...text, `${rows.length} connections.`].join('\n'))
  return EXIT.done
}

async function revokeOne(room: Keyroom, { org }: Asked, id: ConnectionId, { json, print }: CommandContext): Promise<number> {
  const result = await room.database.withTenant(org, async (tx) => {
    if ((await connectionFindAnywhere(tx, id)) === undefined) return undefined
    return endConnections(tx, room.vault, [id], { actor: ACTOR, cause: 'disconnected', tellProvider: true })
  })
  if (result === undefined) throw new CommandError(`The organization has no connection ${formatId('conn', id)}.`)
  const queued = result.filter(({ revocation }) => revocation !== null).length
  const what = result.length === 0 ? 'had ended before' : `ended${queued > 0 ? '; its provider is told as soon as a gateway runs' : ''}`
  print(json ? JSON.stringify({ id: formatId('conn', id), ended: result.length === 1, queued }) : `${formatId('conn', id)} ${what}.`)
  return EXIT.done
}

async function revokeMany(room: Keyroom, { org, filter = {}, yes }: Asked, { json, print }: CommandContext): Promise<number> {
  if (!yes) {
    const radius = await room.bulk.preview(org, filter)
    const text = [`This would end ${radiusText(radius)}.`, 'Nothing was done. To do it, add --yes.']
    print(json ? JSON.stringify({ dry_run: true, ...radiusJson(radius) }, undefined, 2) : text.join('\n'))
    return EXIT.checkFailed
  }
  const { bulk } = await room.bulk.begin(org, filter, ACTOR)
  let standing = await room.bulk.find(org, bulk.id)
  while (standing?.state === 'running') {
    // A gateway on the same database may have taken it: then it is watched.
    if (!(await room.bulk.work())) await new Promise((resolve) => setTimeout(resolve, LOOK_MS))
    standing = await room.bulk.find(org, bulk.id)
  }
  const ended = standing?.ended ?? 0
  const text = `Ended ${ended} of ${bulk.found} connections; their providers are told as soon as a gateway runs.`
  print(json ? JSON.stringify({ dry_run: false, id: formatId('bulk', bulk.id), found: bulk.found, ended }, undefined, 2) : text)
  return EXIT.done
}

function radiusText({ connections, endUsers, boundKeys, byIntegration }: BlastRadius): string {
  const each = byIntegration.map(({ slug, provider, connections: count }) => `${slug} (${provider}) ${count}`)
  return `${connections} connections of ${endUsers} end users, and with them ${boundKeys} bound keys${each.length === 0 ? '' : `: ${each.join(', ')}`}`
}

function radiusJson({ connections, endUsers, boundKeys, byIntegration }: BlastRadius): object {
  const integrations = byIntegration.map(({ integration, ...rest }) => ({ id: formatId('int', integration), ...rest }))
  return { connections, end_users: endUsers, bound_keys: boundKeys, integrations }
}
