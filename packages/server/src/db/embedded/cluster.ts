/**
 * Owns the making and the judging of a cluster's folder. Refuses to touch one that was ever complete: whatever is wrong with it is reported, not repaired.
 * A cluster becomes `postgres/` by one rename of a finished, synced folder, so `postgres/` is never half made.
 */
import { spawn } from 'node:child_process'
import { chown, lchown, lstat, mkdtemp, readFile, readdir, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { PostgresBinaries } from './binaries.ts'
import { freeBytes, syncFolder, unwritable } from './data-dir.ts'
import { DataDirError, systemErrorCode } from './errors.ts'
import type { Account, Launch } from './launch.ts'
import { CHILD_ENVIRONMENT } from './launch.ts'
import { LastLines } from './last-lines.ts'

const DRAFT_PREFIX = 'postgres.new-'
const CONTROL_FILE_BYTES = 8192
/** A new cluster takes about 40 MB; with less than this left, a failed making is the disk's fault. */
const ROOM_FOR_A_CLUSTER = 64 * 1024 * 1024

/** Without any one of these PostgreSQL 15 to 18 does not start. Empty ones are what copying tools lose. */
const ESSENTIAL = (
  'base global pg_commit_ts pg_dynshmem pg_hba.conf pg_ident.conf pg_logical pg_multixact pg_notify pg_replslot ' +
  'pg_serial pg_snapshots pg_stat pg_stat_tmp pg_subtrans pg_tblspc pg_twophase pg_wal pg_xact postgresql.conf'
).split(' ')

/**
 * Reads, never writes. Extra files beside a whole cluster are left alone and allowed; foreign files where a cluster should be are refused.
 * @returns the owner of the cluster, or undefined when there is no cluster yet.
 * @throws DataDirError `data_dir_corrupt`, `data_dir_version`, `data_dir_unwritable`.
 */
export async function inspectCluster(clusterDir: string, major: string): Promise<Account | undefined> {
  const owner = await ownerOfFolder(clusterDir)
  if (owner === undefined) return undefined
  const names = await readdir(clusterDir).catch((error: unknown) => Promise.reject(unwritable(clusterDir, error)))
  if (names.length === 0) throw corrupt(clusterDir, 'is empty')
  if (!names.includes('PG_VERSION')) throw corrupt(clusterDir, `holds no PG_VERSION, but ${listSome(names)}`)
  await checkVersion(clusterDir, major)
  const missing = ESSENTIAL.filter((name) => !names.includes(name))
  if (missing.length > 0) throw corrupt(clusterDir, `lacks ${listSome(missing)}`)
  await checkControlFile(clusterDir)
  return owner
}

async function ownerOfFolder(clusterDir: string): Promise<Account | undefined> {
  const found = await stat(clusterDir).catch((error: unknown) => {
    if (systemErrorCode(error) === 'ENOENT') return undefined
    throw unwritable(clusterDir, error)
  })
  if (found === undefined) return undefined
  if (!found.isDirectory()) throw corrupt(clusterDir, 'is not a folder')
  const self = process.getuid?.()
  if (self !== undefined && self !== 0 && found.uid !== self) {
    throw new DataDirError(
      'data_dir_unwritable',
      `The database folder ${clusterDir} belongs to the account with uid ${found.uid}, and this gateway runs as uid ${self}. Start it as the owner.`,
    )
  }
  return { uid: found.uid, gid: found.gid }
}

async function checkVersion(clusterDir: string, major: string): Promise<void> {
  const text = await readFile(join(clusterDir, 'PG_VERSION'), 'latin1').catch((error: unknown) => {
    throw corrupt(clusterDir, 'has an unreadable PG_VERSION', error)
  })
  if (!/^[1-9]\d?(\.\d)?\n$/.test(text)) throw corrupt(clusterDir, 'has a garbled PG_VERSION')
  if (text.trim() === major) return
  throw new DataDirError(
    'data_dir_version',
    `The database in ${clusterDir} was made by PostgreSQL ${text.trim()}, and this gateway brings PostgreSQL ${major}. Start it with the release that made it, dump it and load it into a new data folder; nothing was changed.`,
  )
}

async function checkControlFile(clusterDir: string): Promise<void> {
  const control = await stat(join(clusterDir, 'global', 'pg_control')).catch((error: unknown) => {
    throw corrupt(clusterDir, 'lacks global/pg_control', error)
  })
  if (control.size !== CONTROL_FILE_BYTES) {
    throw corrupt(clusterDir, `has a global/pg_control of ${control.size} bytes instead of ${CONTROL_FILE_BYTES}`)
  }
}

export function corrupt(clusterDir: string, finding: string, cause?: unknown): DataDirError {
  return new DataDirError(
    'data_dir_corrupt',
    `The database folder ${clusterDir} ${finding}. Nothing was changed: restore the data folder from a backup, or move it away to start with an empty one.`,
    { cause },
  )
}

function listSome(names: readonly string[]): string {
  const shown = [...names].sort().slice(0, 3)
  const rest = names.length - shown.length
  return rest > 0 ? `${shown.join(', ')} and ${rest} more` : shown.join(', ')
}

export interface NewCluster {
  readonly binaries: PostgresBinaries
  readonly launch: Launch
  /** Where the cluster shall lie; its parent must exist on the same file system. */
  readonly clusterDir: string
  /** File holding the password of the superuser `postgres`. */
  readonly passwordFile: string
  /** False only for throw-away servers: skips writing through to the disk. */
  readonly durable: boolean
}

/**
 * Makes a cluster: UTF-8, code-point order, scram-sha-256 for every connection, page checksums. Removes the drafts of makings that a crash cut short.
 * @throws DataDirError `data_dir_unwritable` when the disk is full, `postgres_start_failed` otherwise.
 */
export async function createCluster(options: NewCluster): Promise<void> {
  const parent = join(options.clusterDir, '..')
  await removeDrafts(parent)
  const draft = await mkdtemp(join(parent, DRAFT_PREFIX)).catch((error: unknown) => Promise.reject(unwritable(parent, error)))
  try {
    const { account } = options.launch
    if (account !== undefined) await chown(draft, account.uid, account.gid)
    await runInitdb(options, draft)
    await rename(draft, options.clusterDir)
    if (options.durable) await syncFolder(parent)
  } catch (error) {
    await rm(draft, { recursive: true, force: true })
    throw error
  }
}

/** A name is never used twice, so that an `initdb` that outlived its gateway cannot write into a newer draft. */
async function removeDrafts(parent: string): Promise<void> {
  const names = await readdir(parent)
  const drafts = names.filter((name) => name.startsWith(DRAFT_PREFIX))
  // Its children may take a moment to notice that they are alone, and write on meanwhile: hence the retries.
  await Promise.all(drafts.map((name) => rm(join(parent, name), { recursive: true, force: true, maxRetries: 10, retryDelay: 50 })))
}

/** C.UTF-8 of PostgreSQL's own provider sorts by code point, knows letters beyond ASCII, and does not change under us with the C library. */
function localeArguments(major: string): string[] {
  return Number(major) >= 17 ? ['--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8'] : ['--locale=C']
}

async function runInitdb(options: NewCluster, draft: string): Promise<void> {
  const { binaries, launch } = options
  const safety = ['--username=postgres', `--pwfile=${options.passwordFile}`, '--auth=scram-sha-256', '--data-checksums']
  const speed = options.durable ? [] : ['--no-sync']
  const settings = [...safety, ...speed, '--encoding=UTF8', ...localeArguments(binaries.major), '--no-instructions']
  const [file, args] = launch.command('KILL', binaries.initdb, ['-D', draft, ...settings])
  const output = new LastLines()
  const status = await new Promise<number | string | null>((resolve, reject) => {
    const child = spawn(file, args, { env: CHILD_ENVIRONMENT, cwd: '/', stdio: ['ignore', 'pipe', 'pipe'], detached: true })
    child.stdout.on('data', (chunk: Buffer) => output.add(chunk))
    child.stderr.on('data', (chunk: Buffer) => output.add(chunk))
    child.once('error', reject)
    child.once('close', (code, signal) => resolve(code ?? signal))
  })
  if (status === 0) return
  throw await initdbFailure(join(draft, '..'), status, output)
}

async function initdbFailure(parent: string, status: number | string | null, output: LastLines): Promise<DataDirError> {
  const free = await freeBytes(parent)
  if (free < ROOM_FOR_A_CLUSTER) {
    return new DataDirError(
      'data_dir_unwritable',
      `The disk of ${parent} has ${Math.floor(free / 1024 / 1024)} MB left, too little for a database. Make room (64 MB at the least), or choose another folder with SALLYPORT_DATA_DIR.`,
    )
  }
  return new DataDirError(
    'postgres_start_failed',
    `Making the database in ${parent} failed (initdb ended with ${status}). Its last lines say why:\n${output.text()}`,
  )
}

/** Hands a cluster of root's to `account`, for the machine that forbids user namespaces today and allowed them when it was made. */
export async function giveTo(account: Account, path: string): Promise<void> {
  const found = await lstat(path)
  if (found.isDirectory()) {
    const names = await readdir(path)
    for (const name of names) await giveTo(account, join(path, name))
  }
  await lchown(path, account.uid, account.gid)
}
