/** Owns the private folder of the database's socket. Refuses a shared or guessable one: it is fresh, 0700, and its name is random. */
import { chown, lstat, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { unwritable } from './data-dir.ts'
import { systemErrorCode } from './errors.ts'
import type { Account } from './launch.ts'
import { SOCKET_PORT } from './settings.ts'

const PREFIX = 'sallyport-'
/** `sun_path` holds 108 bytes with the closing zero. */
const LONGEST_SOCKET_PATH = 107

/** Removes the folder that a crashed gateway left, makes a new one and records it in the data folder. */
export async function makeSocketFolder(dataDir: string, account: Account | undefined): Promise<string> {
  await removeSocketFolder(dataDir)
  const temporary = fits(tmpdir()) ? tmpdir() : '/tmp'
  try {
    const folder = await mkdtemp(join(temporary, PREFIX))
    if (account !== undefined) await chown(folder, account.uid, account.gid)
    await writeFile(record(dataDir), folder, { mode: 0o600 })
    return folder
  } catch (error) {
    throw unwritable(temporary, error)
  }
}

/** Removes the recorded folder and the record. A record that names anything but such a folder is dropped and nothing else is touched. */
export async function removeSocketFolder(dataDir: string): Promise<void> {
  const folder = await readFile(record(dataDir), 'utf8').catch((error: unknown) => {
    if (systemErrorCode(error) === 'ENOENT') return undefined
    throw unwritable(dataDir, error)
  })
  if (folder === undefined) return
  if (/^sallyport-[A-Za-z0-9]{6}$/.test(basename(folder)) && (await isPrivateFolder(folder))) {
    await rm(folder, { recursive: true, force: true })
  }
  await rm(record(dataDir), { force: true })
}

function record(dataDir: string): string {
  return join(dataDir, 'postgres.socket')
}

function fits(temporary: string): boolean {
  return Buffer.byteLength(join(temporary, `${PREFIX}XXXXXX`, `.s.PGSQL.${SOCKET_PORT}`)) <= LONGEST_SOCKET_PATH
}

async function isPrivateFolder(folder: string): Promise<boolean> {
  const found = await lstat(folder).catch(() => undefined)
  return found !== undefined && found.isDirectory() && (found.mode & 0o777) === 0o700
}
