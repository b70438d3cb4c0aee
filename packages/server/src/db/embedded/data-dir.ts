/**
 * Owns the gateway's data folder: its making, its lock and the superuser's password in it. Refuses to change a folder held by another process.
 *
 *     <dataDir>/             0700, made when missing
 *       gateway.lock         empty SQLite file, held in an exclusive transaction while a gateway lives
 *       gateway.pid          process id of the holder, for the message only
 *       postgres/            the cluster, 0700
 *       postgres.new-XXXXXX/ a cluster in the making; left only by a crash, removed by the next start
 *       postgres.socket      path of the socket folder in use, so that the next start can remove one left by a crash
 *       secrets/             0700; postgres-superuser 0600
 */
import { existsSync } from 'node:fs'
import { mkdir, open, readFile, realpath, rename, rm, statfs, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { Secret } from '@sallyport/core'
import { DataDirError, systemErrorCode } from './errors.ts'

/** Proof that this process alone may touch `dataDir`. Freed by the kernel when the process dies, however it dies. */
export interface DataDirLock {
  /** Absolute, with symbolic links resolved. */
  readonly dataDir: string
  /** Idempotent. */
  release(): Promise<void>
}

export function superuserPasswordFile(dataDir: string): string {
  return join(dataDir, 'secrets', 'postgres-superuser')
}

/**
 * Makes the folder when missing and takes its lock at once or not at all.
 *
 * The lock is a POSIX record lock that SQLite takes on `gateway.lock`; an orphaned child does not inherit it. Such a lock is lost when its process
 * closes any other descriptor of the same file, so nothing else in this process may ever open `gateway.lock`.
 * @throws DataDirError `data_dir_in_use`, `data_dir_unwritable`, or `data_dir_corrupt` when a foreign file bears the lock's name.
 */
export async function lockDataDir(dataDir: string): Promise<DataDirLock> {
  const folder = await makeDataDir(dataDir)
  const pidFile = join(folder, 'gateway.pid')
  const lock = await takeLock(folder, pidFile)
  try {
    await writeFile(pidFile, `${process.pid}\n`, { mode: 0o600 })
  } catch (error) {
    lock.close()
    throw unwritable(folder, error)
  }
  let released = false
  return {
    dataDir: folder,
    async release() {
      if (released) return
      released = true
      await rm(pidFile, { force: true })
      lock.close()
    },
  }
}

async function makeDataDir(dataDir: string): Promise<string> {
  try {
    await makeFolder(resolve(dataDir))
    return await realpath(dataDir)
  } catch (error) {
    throw unwritable(dataDir, error)
  }
}

/** One folder at a time: where none can be made, as below /proc, node's recursive form never answers. */
async function makeFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { mode: 0o700 })
  } catch (error) {
    const code = systemErrorCode(error)
    if (code === 'EEXIST') return
    // At the root there is no parent left to make.
    if (code !== 'ENOENT' || folder === dirname(folder) || existsSync(dirname(folder))) throw error
    await makeFolder(dirname(folder))
    await mkdir(folder, { mode: 0o700 })
  }
}

async function takeLock(folder: string, pidFile: string): Promise<DatabaseSync> {
  const lockFile = join(folder, 'gateway.lock')
  await createPrivately(folder, lockFile)
  let database: DatabaseSync | undefined
  try {
    database = new DatabaseSync(lockFile, { timeout: 0 })
    database.exec('BEGIN EXCLUSIVE')
    return database
  } catch (error) {
    database?.close()
    throw await lockFailure(folder, pidFile, error)
  }
}

/** Only ever creates: opening an existing lock file here would, on close, free a lock that this very process holds. */
async function createPrivately(folder: string, lockFile: string): Promise<void> {
  try {
    await (await open(lockFile, 'wx', 0o600)).close()
  } catch (error) {
    if (systemErrorCode(error) !== 'EEXIST') throw unwritable(folder, error)
  }
}

const SQLITE_BUSY = 5
const SQLITE_NOTADB = 26

async function lockFailure(folder: string, pidFile: string, error: unknown): Promise<DataDirError> {
  const reason = error instanceof Error && 'errcode' in error && typeof error.errcode === 'number' ? error.errcode & 0xff : undefined
  if (reason === SQLITE_BUSY) {
    const holder = await holderName(pidFile)
    return new DataDirError(
      'data_dir_in_use',
      `The data folder ${folder} is in use by ${holder}. Stop that gateway first, or give this one a folder of its own with SALLYPORT_DATA_DIR.`,
    )
  }
  if (reason === SQLITE_NOTADB) {
    return new DataDirError(
      'data_dir_corrupt',
      `${join(folder, 'gateway.lock')} is not a lock file of Sallyport. Move it away if nothing needs it, or choose another folder with SALLYPORT_DATA_DIR.`,
      { cause: error },
    )
  }
  return unwritable(folder, error)
}

async function holderName(pidFile: string): Promise<string> {
  const text = await readFile(pidFile, 'utf8').catch(() => '')
  return /^[1-9]\d{0,9}\n$/.test(text) ? `another gateway (process ${text.trim()})` : 'another gateway'
}

export function unwritable(folder: string, cause: unknown): DataDirError {
  const code = systemErrorCode(cause)
  const reason = code === undefined || code === 'ERR_SQLITE_ERROR' ? 'its lock cannot be taken' : code
  return new DataDirError(
    'data_dir_unwritable',
    `The data folder ${folder} cannot be made or written (${reason}). Give the gateway's account write access to it, or choose another folder with SALLYPORT_DATA_DIR.`,
    { cause },
  )
}

/** Bytes an unprivileged process may still write on the disk of `folder`. */
export async function freeBytes(folder: string): Promise<number> {
  const disk = await statfs(folder)
  return disk.bavail * disk.bsize
}

/** Reads the superuser's password, or undefined when none was ever kept. */
export async function readSuperuserPassword(dataDir: string): Promise<Secret | undefined> {
  try {
    const text = await readFile(superuserPasswordFile(dataDir), 'utf8')
    return text === '' ? undefined : new Secret(text)
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return undefined
    throw unwritable(join(dataDir, 'secrets'), error)
  }
}

/** Makes a random password and has it on disk before it returns, because a cluster made with it would be lost without it. */
export async function createSuperuserPassword(dataDir: string): Promise<Secret> {
  const password = Buffer.from(crypto.getRandomValues(new Uint8Array(24))).toString('base64url')
  const file = superuserPasswordFile(dataDir)
  const folder = join(dataDir, 'secrets')
  try {
    await mkdir(folder, { mode: 0o700, recursive: true })
    const draft = await open(`${file}.new`, 'w', 0o600)
    try {
      await draft.writeFile(password)
      await draft.sync()
    } finally {
      await draft.close()
    }
    await rename(`${file}.new`, file)
    await syncFolder(folder)
  } catch (error) {
    throw unwritable(folder, error)
  }
  return new Secret(password)
}

/** Makes a rename inside `folder` survive a power cut. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
