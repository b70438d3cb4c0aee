/**
 * `sallyport keys ...`: making, counting, turning, proving, removing and destroying keys. Owns the words and the figures that an operator
 * sees. Refuses to destroy anything that it was not told twice to destroy.
 *
 *   keys generate [--append]                     a root key, printed, or put first into the data folder's file
 *   keys status [--org <id>]                     what is under which key, and how old it is
 *   keys rotate root [--all-data] [--generate]   everything under the primary root key; --all-data: new data keys too
 *   keys rotate data [--org <id>]                new data keys, and every record moved to them
 *   keys verify [--org <id>]                     opens everything
 *   keys contain <org_...> --exposed-until <moment> [--revoke]   new keys and seals, and the end of all connections, after secrets may have been read
 *   keys remove <root key | dk_... --org <id>>   forgets a key that nothing is under
 *   keys remove <org_...> --shred [--yes]        destroys an organization's data keys
 */
import { parseArgs } from 'node:util'
import { formatId, generateKeyBytes, hasCode, parseId, randomBase62, Secret } from '@sallyport/core'
import type { OrgId } from '@sallyport/core'
import type { Keyroom } from '../compose/index.ts'
import type { Config } from '../config.ts'
import { appendRootKey, forgetRootKey } from '../home/index.ts'
import { containmentId } from '../revocation/index.ts'
import type { RootRotationReport, SweepReport } from '../vault/index.ts'
import { CommandError } from './command.ts'
import type { CommandContext } from './command.ts'
import { EXIT } from './explain.ts'
import { enterKeyroom } from './keyroom.ts'

const ACTOR = 'system'
const DAY_MS = 86_400_000
/** What does the same while a gateway runs. */
const INSTEAD = 'GET and POST /api/v1/orgs/{org}/data-keys'
const USAGE = `sallyport keys generate [--append]
sallyport keys status [--org <org_...>]
sallyport keys rotate root [--all-data] [--generate]
sallyport keys rotate data [--org <org_...>]
sallyport keys verify [--org <org_...>]
sallyport keys contain <org_...> --exposed-until <2026-11-22T10:00:00Z> [--revoke]
sallyport keys remove <root key id>
sallyport keys remove <dk_...> --org <org_...>
sallyport keys remove <org_...> --shred [--yes]`

interface Words {
  readonly words: readonly string[]
  readonly org: OrgId | undefined
  readonly exposedUntil: Date | undefined
  readonly on: ReadonlySet<'append' | 'all-data' | 'generate' | 'revoke' | 'shred' | 'yes'>
}

/** A result for machines, its sentences for people, and whether all is well. */
interface Told {
  readonly json: unknown
  readonly text: readonly string[]
  readonly well: boolean
}

type Work = (room: Keyroom, asked: Words, context: CommandContext) => Promise<Told>

const WORK: Readonly<Record<string, { readonly words: number; readonly provesRootKeys: boolean; readonly work: Work }>> = {
  status: { words: 1, provesRootKeys: true, work: status },
  'rotate root': { words: 2, provesRootKeys: true, work: rotateRoot },
  'rotate data': { words: 2, provesRootKeys: true, work: rotateData },
  verify: { words: 1, provesRootKeys: true, work: verify },
  contain: { words: 2, provesRootKeys: true, work: contain },
  // Without the key that is to go: it is out of the configuration already, or about to be.
  remove: { words: 2, provesRootKeys: false, work: remove },
}

/** True for the one command that needs no configuration: how else would the first key come into it. */
export function isBareGenerate(args: readonly string[]): boolean {
  return args[0] === 'keys' && args[1] === 'generate' && !args.includes('--append')
}

/** Prints a fresh root key as it stands in SALLYPORT_ENCRYPTION_KEYS. */
export function printRootKey({ json, print }: Pick<CommandContext, 'json' | 'print'>): number {
  const { id, entry } = freshRootKey()
  print(json ? JSON.stringify({ id, entry: entry.reveal() }) : entry.reveal())
  return EXIT.done
}

export async function keysCommand(context: CommandContext): Promise<number> {
  const asked = read(context.args)
  if (asked === undefined) {
    context.print(USAGE)
    return EXIT.usage
  }
  const [first = '', second = ''] = asked.words
  if (first === 'generate') return tell(context, await append(context.config))
  const found = WORK[`${first} ${second}`] ?? WORK[first]
  if (found === undefined || asked.words.length !== found.words) {
    context.print(USAGE)
    return EXIT.usage
  }
  if (asked.on.has('generate')) tell({ ...context, json: false, print: toStderr }, await append(context.config))
  const room = await enterKeyroom(context.config, INSTEAD, found.provesRootKeys)
  try {
    return tell(context, await found.work(room, asked, context))
  } finally {
    await room.close()
  }
}

function read(args: readonly string[]): Words | undefined {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        append: { type: 'boolean' },
        'all-data': { type: 'boolean' },
        generate: { type: 'boolean' },
        revoke: { type: 'boolean' },
        shred: { type: 'boolean' },
        yes: { type: 'boolean' },
        org: { type: 'string' },
        'exposed-until': { type: 'string' },
        config: { type: 'string' },
      },
    })
    const org = values.org === undefined ? undefined : parseId('org', values.org)
    if (values.org !== undefined && org === undefined) return undefined
    const flags = ['append', 'all-data', 'generate', 'revoke', 'shred', 'yes'] as const
    const exposedUntil = momentOf(values['exposed-until'])
    if (exposedUntil === 'malformed') return undefined
    return { words: positionals, org, exposedUntil, on: new Set(flags.filter((flag) => values[flag] === true)) }
  } catch {
    // parseArgs throws for options it doesn't know: the usage says which there are.
    return undefined
  }
}

/** RFC 3339 with its zone: a local time would mean another moment on another machine. */
function momentOf(text: string | undefined): Date | undefined | 'malformed' {
  if (text === undefined) return undefined
  const moment = /^\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d)$/u.test(text) ? Date.parse(text) : Number.NaN
  return Number.isNaN(moment) ? 'malformed' : new Date(moment)
}

function tell({ json, print }: Pick<CommandContext, 'json' | 'print'>, told: Told): number {
  print(json ? JSON.stringify(told.json, undefined, 2) : told.text.join('\n'))
  return told.well ? EXIT.done : EXIT.checkFailed
}

function toStderr(text: string): void {
  process.stderr.write(`${text}\n`)
}

function freshRootKey(): { readonly id: string; readonly entry: Secret } {
  const id = `root-${randomBase62(8)}`
  const bytes = generateKeyBytes()
  try {
    return { id, entry: new Secret(`${id}:${bytes.toString('hex')}`) }
  } finally {
    bytes.fill(0)
  }
}

async function append(config: Config): Promise<Told> {
  const { id, entry } = freshRootKey()
  try {
    await appendRootKey(config, entry)
  } catch (error) {
    if (hasCode(error, 'data_dir_in_use')) throw new CommandError(`A gateway runs on ${config.dataDir}. Stop it first.`)
    throw error
  }
  return { json: { id }, text: [`${id} is the primary root key of ${config.dataDir} from now on.`], well: true }
}

async function status({ keeper, now }: Keyroom, { org }: Words): Promise<Told> {
  const days = (date: Date): number => Math.floor((now() - date.getTime()) / DAY_MS)
  const roots = (await keeper.rootKeys()).map((key) => ({
    id: key.id,
    primary: key.id === keeper.primaryRootKey,
    days: days(key.createdAt),
    data_keys: key.dataKeys,
    system_secrets: key.systemSecrets,
  }))
  const dataKeys: { org: string; id: string; status: string; days: number; records: number }[] = []
  for await (const each of org === undefined ? keeper.organizations() : [org]) {
    for (const key of await keeper.dataKeys(each)) {
      const { id, status, createdAt, records } = key
      dataKeys.push({ org: formatId('org', each), id: formatId('dk', id), status, days: days(createdAt), records })
    }
  }
  const text = [
    'Root keys',
    ...roots.map((key) => {
      const mark = key.primary ? 'primary' : key.data_keys + key.system_secrets === 0 ? 'unused' : 'in use'
      return `  ${key.id}  ${mark}  ${key.days} days  ${key.data_keys} data keys  ${key.system_secrets} secrets`
    }),
    'Data keys',
    ...dataKeys.map((key) => `  ${key.org}  ${key.id}  ${key.status}  ${key.days} days  ${key.records} records`),
  ]
  return { json: { root_keys: roots, data_keys: dataKeys }, text, well: true }
}

async function rotateRoot({ keeper }: Keyroom, { on }: Words): Promise<Told> {
  if (!on.has('all-data')) {
    const root = await keeper.rotateRoot(ACTOR)
    return { json: rootJson(root), text: rootText(root), well: root.unreadable === 0 }
  }
  const { root, ...data } = await keeper.rotateEverything(ACTOR)
  const text = [
    `Renewed ${data.renewed} data keys of ${data.organizations} organizations; ${data.resealed} records resealed, ${data.left} left behind, ${data.unreadable} unreadable.`,
    ...rootText(root),
  ]
  return { json: { ...data, root: rootJson(root) }, text, well: data.left + data.unreadable + root.unreadable === 0 }
}

function rootJson({ to, dataKeys, systemSecrets, unreadable, use }: RootRotationReport): unknown {
  const left = Object.fromEntries(use.filter(({ id }) => id !== to).map(({ id, ...use }) => [id, use.dataKeys + use.systemSecrets]))
  return { to, data_keys: dataKeys, system_secrets: systemSecrets, unreadable, left }
}

function rootText({ to, dataKeys, systemSecrets, unreadable, use }: RootRotationReport): string[] {
  return [
    `Rewrapped ${dataKeys} data keys and ${systemSecrets} secrets of the installation under ${to}; ${unreadable} unreadable.`,
    ...use
      .filter(({ id }) => id !== to)
      .map(({ id, dataKeys, systemSecrets }) => {
        const left = dataKeys + systemSecrets
        return left === 0 ? `Nothing is under ${id} any more: sallyport keys remove ${id}` : `${left} are still under ${id}.`
      }),
  ]
}

async function rotateData({ keeper }: Keyroom, { org }: Words): Promise<Told> {
  const done: { org: OrgId; started: boolean; report: SweepReport }[] = []
  for await (const each of org === undefined ? keeper.organizations() : [org]) {
    const started = (await keeper.renew(each, ACTOR)) !== undefined
    const report = await keeper.sweep(each, ACTOR)
    if (started || report.left.size > 0) done.push({ org: each, started, report })
  }
  const rows = done.map(({ org, started, report }) => ({
    org: formatId('org', org),
    started,
    to: report.to && formatId('dk', report.to),
    resealed: report.resealed,
    unreadable: report.unreadable,
    left: Object.fromEntries([...report.left].map(([id, count]) => [formatId('dk', id), count])),
  }))
  const left = rows.reduce((sum, row) => sum + Object.values(row.left).reduce((all, count) => all + count, 0), 0)
  const text = rows.map((row) => {
    const rest = Object.entries(row.left).map(([id, count]) => `${id} ${count}`)
    return `${row.org}  ${row.started ? 'rotated' : 'gone on'} to ${row.to ?? 'no key'}  ${row.resealed} resealed  ${row.unreadable} unreadable  left: ${rest.join(', ') || 'none'}`
  })
  return {
    json: { organizations: rows, left },
    text: [...text, `${rows.length} organizations, ${left} records left behind.`],
    well: left === 0,
  }
}

async function verify({ keeper }: Keyroom, { org }: Words): Promise<Told> {
  const { faults, ...counts } = await keeper.verify(ACTOR, org)
  const rows = faults.map((fault) => ({ ...fault, org: formatId('org', fault.org) }))
  const text = [
    ...rows.map((row) => `${row.org}  ${row.table}  ${row.record}  ${row.code}`),
    `${counts.organizations} organizations, ${counts.dataKeys} data keys, ${counts.records} records opened, ${counts.destroyed} shredded, ${rows.length} faults.`,
  ]
  return { json: { ...counts, faults: rows }, text, well: rows.length === 0 }
}

async function contain({ bulk, keeper, now }: Keyroom, { words, exposedUntil, on }: Words): Promise<Told> {
  const org = parseId('org', words[1]!)
  if (org === undefined || exposedUntil === undefined) {
    throw new CommandError('Say whose secrets may have been read, and until when: sallyport keys contain org_... --exposed-until <moment>')
  }
  if (exposedUntil.getTime() > now())
    throw new CommandError('--exposed-until lies in the future: keys that will be made later were not read.')
  const ending = on.has('revoke') ? await bulk.beginOnce(org, containmentId(org, exposedUntil), ACTOR) : undefined
  const { root, to, renewed, resealed, unreadable, left } = await keeper.contain(org, exposedUntil, ACTOR)
  const id = formatId('org', org)
  const json = {
    org: id,
    data_key: { to: to && formatId('dk', to), renewed, resealed, unreadable, left },
    root_key: { to: root.to, rewrapped: root.dataKeys, unreadable: root.unreadable },
    bulk_revocation: ending === undefined ? null : { id: formatId('bulk', ending.id), found: ending.found },
  }
  const made = renewed ? 'has a new data key' : 'has a data key from after that already'
  const text = [
    `${id} ${to === null ? 'never sealed anything' : made}; ${resealed} records resealed, ${left} left behind, ${unreadable} unreadable; ${root.dataKeys} data keys rewrapped under ${root.to}, ${root.unreadable} unreadable.`,
    ending === undefined
      ? 'Its connections are as they were; --revoke ends them all.'
      : `${ending.found} connections end and are revoked at their providers, by whichever gateway runs: ${formatId('bulk', ending.id)}.`,
  ]
  return { json, text, well: left + unreadable + root.unreadable === 0 }
}

async function remove(room: Keyroom, asked: Words, { config }: CommandContext): Promise<Told> {
  const id = asked.words[1]!
  const organization = parseId('org', id)
  if (asked.on.has('shred') && organization !== undefined) return shred(room, organization, asked.on.has('yes'))
  if (asked.on.has('shred') || organization !== undefined) {
    throw new CommandError('To destroy the data keys of an organization, give its id and --shred: sallyport keys remove org_... --shred')
  }
  const dataKey = parseId('dk', id)
  if (dataKey !== undefined) {
    if (asked.org === undefined) throw new CommandError('Say whose data key it is: --org org_...')
    await room.keeper.removeDataKey(asked.org, dataKey, ACTOR)
    return { json: { removed: id }, text: [`Removed ${id}.`], well: true }
  }
  await room.keeper.removeRootKey(id, ACTOR)
  const fromFile = await forgetRootKey(config, id)
  const rest = fromFile ? `${id} is out of the data folder, too.` : `Take ${id} out of the encryption keys before the next start.`
  return { json: { removed: id }, text: [`Removed ${id}. ${rest}`], well: true }
}

async function shred({ keeper }: Keyroom, org: OrgId, sure: boolean): Promise<Told> {
  const { keys, records } = sure ? await keeper.shred(org, ACTOR) : await keeper.losses(org)
  const json = { org: formatId('org', org), shredded: sure, data_keys: keys.map((key) => formatId('dk', key)), records }
  const what = `${keys.length} data keys of ${json.org}, and with them ${records} sealed records: credentials, client secrets, flows under way`
  if (sure) return { json, text: [`Destroyed ${what}.`], well: true }
  const text = [
    `This would destroy ${what}. Nothing brings them back but a backup of the data keys.`,
    'Nothing was done. To do it, add --yes.',
  ]
  return { json, text, well: false }
}
