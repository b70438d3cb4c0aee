/**
 * `sallyport audit ...`: proving audit logs, in the database and in a file, and the key of their checkpoints. Owns the words and what an operator
 * reads. Refuses to call a log whole that it could not read to its end.
 *
 *   audit verify [--org <id>] [--key <public key>]... [--checkpoints <file>]...    every log in the database, or one
 *   audit verify --export <file> --key <public key>... [--checkpoints <file>]...   an export; needs no configuration and no database
 *   audit export --org <id> [--format jsonl|csv]                                   to standard output
 *   audit key                                                                      the public keys
 *   audit rotate-key                                                               makes another key sign
 */
import { parseArgs } from 'node:util'
import { formatId, hasCode, parseId } from '@sallyport/core'
import type { OrgId } from '@sallyport/core'
import {
  appendAudit,
  exportText,
  INSTALLATION,
  linesOf,
  readCheckpoints,
  readExportKeys,
  readPublicKey,
  signingKeys,
  verifyExport,
  verifyOrganization,
} from '../audit/index.ts'
import type { AuditVerification, ExportFormat, OutsideByOrganization } from '../audit/index.ts'
import type { Keyroom } from '../compose/index.ts'
import { CommandError } from './command.ts'
import type { CommandContext } from './command.ts'
import { EXIT } from './explain.ts'
import { enterKeyroom } from './keyroom.ts'

const ACTOR = 'system'
const PAGE = 500
/** What does the same while a gateway runs. */
const INSTEAD = 'GET /api/v1/orgs/{org}/audit-events/verify'
const USAGE = `sallyport audit verify [--org <org_...>] [--key <public key>]... [--checkpoints <file>]...
sallyport audit verify --export <file> --key <public key>... [--checkpoints <file>]...
sallyport audit export --org <org_...> [--format <jsonl|csv>]
sallyport audit key
sallyport audit rotate-key`

interface Asked {
  readonly verb: string
  readonly org: OrgId | undefined
  readonly keys: readonly Buffer[]
  readonly checkpoints: readonly string[]
  readonly export: string | undefined
  readonly format: ExportFormat
}

type Telling = Pick<CommandContext, 'args' | 'json' | 'print'>

/** True for what runs where there is no gateway: an export and a public key are enough. */
export function isBareVerify(args: readonly string[]): boolean {
  return args[0] === 'audit' && args[1] === 'verify' && args.some((word) => word === '--export' || word.startsWith('--export='))
}

export async function verifyExportFile(telling: Telling): Promise<number> {
  const asked = read(telling.args)
  if (asked?.export === undefined || asked.org !== undefined || asked.keys.length === 0) {
    telling.print(USAGE)
    return EXIT.usage
  }
  const path = asked.export
  const { outside, verdict } = await readable(async () => {
    const outside = await readCheckpoints(asked.checkpoints.map(linesOf), await readExportKeys(linesOf(path)))
    return { outside, verdict: await verifyExport(linesOf(path), asked.keys, outside.byOrganization) }
  })
  return tell(telling, [{ org: verdict.org, verdict }], outside)
}

export async function auditCommand(context: CommandContext): Promise<number> {
  const asked = read(context.args)
  const work = asked && WORK[asked.verb]
  if (asked === undefined || work === undefined || (asked.verb === 'export' && asked.org === undefined)) {
    context.print(USAGE)
    return EXIT.usage
  }
  const room = await enterKeyroom(context.config, INSTEAD, true)
  try {
    return await work(room, asked, context)
  } finally {
    await room.close()
  }
}

const WORK: Readonly<Record<string, (room: Keyroom, asked: Asked, context: CommandContext) => Promise<number>>> = {
  verify: verifyStored,
  export: exportStored,
  key: listKeys,
  'rotate-key': rotateKey,
}

function read(args: readonly string[]): Asked | undefined {
  try {
    const { values, positionals } = parseArgs({
      args: withKeysNamed(args),
      allowPositionals: true,
      options: {
        org: { type: 'string' },
        key: { type: 'string', multiple: true },
        checkpoints: { type: 'string', multiple: true },
        export: { type: 'string' },
        format: { type: 'string' },
        config: { type: 'string' },
      },
    })
    const [verb, ...rest] = positionals
    const org = values.org === undefined ? undefined : parseId('org', values.org)
    const { format = 'jsonl' } = values
    if (verb === undefined || rest.length > 0 || (values.org !== undefined && org === undefined)) return undefined
    if (format !== 'jsonl' && format !== 'csv') return undefined
    const keys = (values.key ?? []).map(readPublicKey)
    return { verb, org, keys, checkpoints: values.checkpoints ?? [], export: values.export, format }
  } catch {
    // parseArgs throws for options it doesn't know, and a key that is none is as misspelt: the usage says what there is.
    return undefined
  }
}

/** A public key in base64url may begin with a hyphen, which would be read as an option. */
const HYPHENED_KEY = /^-[\w-]{42}$/u

function withKeysNamed(args: readonly string[]): string[] {
  return args.flatMap((word, at) => {
    if (args[at - 1] === '--key' && HYPHENED_KEY.test(word)) return []
    const next = args[at + 1]
    return word === '--key' && next !== undefined && HYPHENED_KEY.test(next) ? [`--key=${next}`] : [word]
  })
}

interface Outside {
  readonly byOrganization: OutsideByOrganization
  readonly unreadable: number
}

async function verifyStored(room: Keyroom, asked: Asked, context: CommandContext): Promise<number> {
  const listed = new Map((await signingKeys(room)).map(({ id, publicKey }) => [id, publicKey]))
  // Before the logs: whatever left the database is in it by then.
  const outside = await readable(() => readCheckpoints(asked.checkpoints.map(linesOf), listed))
  const trusted = asked.keys.length === 0 ? {} : { trusted: asked.keys }
  const rows: Row[] = []
  for await (const org of asked.org === undefined ? everyLog(room, outside.byOrganization) : [asked.org]) {
    const known = outside.byOrganization.get(org)
    rows.push({ org, verdict: await verifyOrganization(room.database, org, { ...trusted, ...(known && { outside: known }) }) })
  }
  return tell(context, rows, outside)
}

/** Logs of the database, and those that only what left it still knows of. */
async function* everyLog(room: Keyroom, outside: OutsideByOrganization): AsyncGenerator<OrgId> {
  const missing = new Set(outside.keys())
  for (let after: OrgId | undefined; ;) {
    const page = await room.database.lookups.auditLogPage({ after, limit: PAGE })
    for (const org of page) missing.delete(org)
    yield* page
    if (page.length < PAGE) break
    after = page.at(-1)
  }
  yield* missing
}

/** What a file is that can't be read is the caller's to know. */
async function readable<T>(reading: () => Promise<T>): Promise<T> {
  try {
    return await reading()
  } catch (error) {
    if (hasCode(error, 'export_unreadable')) throw new CommandError(error.message)
    const { code, path } = error as NodeJS.ErrnoException
    if (path === undefined) throw error
    throw new CommandError(`${path} can't be read (${code}).`)
  }
}

interface Row {
  readonly org: OrgId
  readonly verdict: AuditVerification
}

function tell({ json, print }: Pick<CommandContext, 'json' | 'print'>, rows: readonly Row[], { unreadable }: Outside): number {
  const intact = rows.every(({ verdict }) => verdict.intact)
  if (json) print(JSON.stringify({ intact, logs: rows.map(rowJson), unreadable_checkpoints: unreadable }, undefined, 2))
  else print([...rows.map(rowText), ...(unreadable === 0 ? [] : [unreadableText(unreadable)]), sum(rows)].join('\n'))
  return intact ? EXIT.done : EXIT.checkFailed
}

function rowJson({ org, verdict }: Row): object {
  const { intact, events, checkpoints, head, vouched, firstFault } = verdict
  return {
    org: formatId('org', org),
    intact,
    events: events.toString(),
    checkpoints: checkpoints.toString(),
    head: head && head.toString('hex'),
    vouched: vouched && { seq: vouched.seq.toString(), at: vouched.at },
    first_fault: firstFault && { seq: firstFault.seq.toString(), reason: firstFault.reason },
  }
}

function rowText({ org, verdict: { intact, events, vouched, firstFault } }: Row): string {
  const name = org === INSTALLATION ? `${formatId('org', org)} (the installation)` : formatId('org', org)
  const until = vouched === null ? 'no checkpoint yet' : `vouched for up to event ${vouched.seq}, signed ${vouched.at}`
  return intact ? `${name}  whole  ${events} events  ${until}` : `${name}  NOT WHOLE  ${firstFault?.reason} at event ${firstFault?.seq}`
}

function unreadableText(count: number): string {
  return `${count} lines of the checkpoint files are none, or are signed by no known key.`
}

function sum(rows: readonly Row[]): string {
  const bad = rows.filter(({ verdict }) => !verdict.intact).length
  return bad === 0 ? `${rows.length} logs, all whole.` : `${rows.length} logs, ${bad} of them not whole.`
}

/** Ends in a checkpoint of its own, so that the whole of it is vouched for. */
async function exportStored(room: Keyroom, { org, format }: Asked, { print }: CommandContext): Promise<number> {
  const detail = { format, by: 'command' }
  await room.database.withTenant(org!, (tx) =>
    appendAudit(tx, { action: 'audit_log.exported', actor: ACTOR, target: formatId('org', org!), detail }),
  )
  const end = await room.checkpointer.checkpoint(org!)
  if (end === undefined) throw new CommandError('Another signed for the log at this moment. Do it again.')
  const keys = await signingKeys(room)
  for await (const piece of exportText(
    room.database,
    { org: org!, through: end.seq, filter: {}, format, keys, opener: room.personal, end: (its) => room.checkpointer.exportEnd(its) },
    () => undefined,
  )) {
    // Pieces end with a line, and so does what is printed.
    if (piece !== '') print(piece.replace(/\n$/u, ''))
  }
  return EXIT.done
}

async function listKeys(room: Keyroom, _asked: Asked, { json, print }: CommandContext): Promise<number> {
  const keys = (await signingKeys(room)).map(({ id, publicKey, createdAt, retiredAt }) => ({
    id,
    public_key: publicKey.toString('base64url'),
    created_at: createdAt.toISOString(),
    retired_at: retiredAt && retiredAt.toISOString(),
  }))
  const text = keys.map((key) => `${key.public_key}  ${key.id}  ${key.retired_at === null ? 'signs' : `retired ${key.retired_at}`}`)
  print(json ? JSON.stringify(keys, undefined, 2) : text.join('\n') || 'No key yet: the first gateway that starts makes it.')
  return EXIT.done
}

async function rotateKey(room: Keyroom, _asked: Asked, { json, print }: CommandContext): Promise<number> {
  const { from, to, checkpoints } = await room.checkpointer.rotate(ACTOR)
  const signs = (await signingKeys(room)).find(({ id }) => id === to)!.publicKey.toString('base64url')
  const told = { from, to, public_key: signs, checkpoints }
  print(
    json
      ? JSON.stringify(told, undefined, 2)
      : `${to} signs from now on, in place of ${from}; ${checkpoints} logs have a checkpoint by it.\n${signs}`,
  )
  return EXIT.done
}
