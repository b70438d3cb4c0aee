/**
 * Owns a second place for PostgreSQL's programs where an account may not pass to the first. CAP_DAC_OVERRIDE opens files anywhere, but the
 * programs ask access(2) for their own path, which forgets capabilities for any account but root's. Refuses a place that anyone else could
 * have prepared.
 */
import { createHash } from 'node:crypto'
import { constants } from 'node:fs'
import { chmod, cp, lstat, mkdtemp, rename, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { PostgresBinaries } from './binaries.ts'
import { unwritable } from './data-dir.ts'
import { systemErrorCode } from './errors.ts'
import type { Account } from './launch.ts'

/**
 * The same programs at a path that `account` can walk: where they are, or a copy below the temporary folder, made once per installation
 * (about 60 MB) and found again by later starts.
 * @throws DataDirError `data_dir_unwritable` when the copy can't be made.
 */
export async function reachableBinaries(installed: PostgresBinaries, account: Account | undefined): Promise<PostgresBinaries> {
  if (account === undefined || (await canWalk(installed.postgres, account))) return installed
  const native = await copyOf(dirname(dirname(installed.postgres)))
  return { ...installed, postgres: join(native, 'bin', 'postgres'), initdb: join(native, 'bin', 'initdb') }
}

/** Whether every folder on the way lets the account through by its permissions alone. */
async function canWalk(path: string, account: Account): Promise<boolean> {
  for (let folder = dirname(path); ; folder = dirname(folder)) {
    const { mode, uid, gid } = await stat(folder)
    const bit = uid === account.uid ? constants.S_IXUSR : gid === account.gid ? constants.S_IXGRP : constants.S_IXOTH
    if ((mode & bit) === 0) return false
    if (folder === dirname(folder)) return true
  }
}

async function copyOf(native: string): Promise<string> {
  const { mtimeMs } = await stat(join(native, 'bin', 'postgres'))
  const name = createHash('sha256').update(`${native}\0${mtimeMs}`).digest('hex').slice(0, 16)
  const place = join(tmpdir(), `sallyport-postgres-${name}`)
  if (await isOurs(place)) return place
  const fresh = await mkdtemp(`${place}.`).catch((error: unknown) => {
    throw unwritable(tmpdir(), error)
  })
  try {
    // The library links are complete where they come from, and are copied as they are.
    await cp(native, fresh, { recursive: true, verbatimSymlinks: true, mode: constants.COPYFILE_FICLONE })
    await chmod(fresh, 0o755)
    await rename(fresh, place)
    return place
  } catch (error) {
    // Another start was faster, or somebody else holds the name: theirs is used only when it is root's, ours otherwise.
    const isTaken = ['EEXIST', 'ENOTEMPTY', 'ENOTDIR'].includes(systemErrorCode(error) ?? '')
    if (isTaken && !(await isOurs(place))) return fresh
    await rm(fresh, { recursive: true, force: true })
    if (isTaken) return place
    throw unwritable(tmpdir(), error)
  }
}

/** A folder that root made and nobody else may change. A sticky temporary folder keeps others from replacing it. */
async function isOurs(place: string): Promise<boolean> {
  const found = await lstat(place).catch(() => undefined)
  return found !== undefined && found.isDirectory() && found.uid === 0 && (found.mode & 0o022) === 0
}
