import { cp, mkdir, mkdtemp, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { tmpdir } from 'node:os'
import { startEmbeddedPostgres } from '../../src/db/embedded/index.ts'
import { digestOf, freshDataDir, query, stopAfterTest } from './harness.ts'

type Damage = { what: string; code: string; says: RegExp; harm: (dataDir: string) => Promise<void> }

const cluster = (dataDir: string, ...path: string[]): string => join(dataDir, 'postgres', ...path)

async function foreignFolder(dataDir: string): Promise<void> {
  await rm(cluster(dataDir), { recursive: true, maxRetries: 10 })
  await mkdir(cluster(dataDir), { mode: 0o700 })
  await writeFile(cluster(dataDir, 'holiday.txt'), 'not a database')
}

const DAMAGES: Damage[] = [
  { what: 'PG_VERSION is missing', code: 'data_dir_corrupt', says: /holds no PG_VERSION/, harm: (dir) => rm(cluster(dir, 'PG_VERSION')) },
  {
    what: 'PG_VERSION is garbled',
    code: 'data_dir_corrupt',
    says: /garbled PG_VERSION/,
    harm: (dir) => writeFile(cluster(dir, 'PG_VERSION'), 'eighteen'),
  },
  {
    what: 'PG_VERSION is empty',
    code: 'data_dir_corrupt',
    says: /garbled PG_VERSION/,
    harm: (dir) => writeFile(cluster(dir, 'PG_VERSION'), ''),
  },
  {
    what: 'an older major made it',
    code: 'data_dir_version',
    says: /PostgreSQL 17, .* brings PostgreSQL 18/,
    harm: (dir) => writeFile(cluster(dir, 'PG_VERSION'), '17\n'),
  },
  {
    what: 'a newer major made it',
    code: 'data_dir_version',
    says: /PostgreSQL 19, .* brings PostgreSQL 18/,
    harm: (dir) => writeFile(cluster(dir, 'PG_VERSION'), '19\n'),
  },
  {
    what: 'the control file is cut',
    code: 'data_dir_corrupt',
    says: /pg_control of 100 bytes/,
    harm: (dir) => truncate(cluster(dir, 'global/pg_control'), 100),
  },
  {
    what: 'the control file is missing',
    code: 'data_dir_corrupt',
    says: /lacks global\/pg_control/,
    harm: (dir) => rm(cluster(dir, 'global/pg_control')),
  },
  {
    what: 'the control file is garbage',
    code: 'postgres_start_failed',
    says: /last lines[^]*FATAL/,
    harm: (dir) => writeFile(cluster(dir, 'global/pg_control'), Buffer.alloc(8192, 7)),
  },
  {
    what: 'folders were lost in a copy',
    code: 'data_dir_corrupt',
    says: /lacks pg_notify, pg_wal/,
    harm: async (dir) => {
      await rm(cluster(dir, 'pg_wal'), { recursive: true, maxRetries: 10 })
      await rm(cluster(dir, 'pg_notify'), { recursive: true, maxRetries: 10 })
    },
  },
  { what: 'foreign files are where the cluster should be', code: 'data_dir_corrupt', says: /but holiday.txt/, harm: foreignFolder },
  {
    what: 'the cluster is empty',
    code: 'data_dir_corrupt',
    says: /is empty/,
    harm: async (dir) => {
      await rm(cluster(dir), { recursive: true, maxRetries: 10 })
      await mkdir(cluster(dir), { mode: 0o700 })
    },
  },
  {
    what: 'the cluster is a file',
    code: 'data_dir_corrupt',
    says: /is not a folder/,
    harm: async (dir) => {
      await rm(cluster(dir), { recursive: true, maxRetries: 10 })
      await writeFile(cluster(dir), '')
    },
  },
  {
    what: 'the password is missing',
    code: 'data_dir_corrupt',
    says: /came without its password/,
    harm: (dir) => rm(join(dir, 'secrets', 'postgres-superuser')),
  },
  {
    what: 'the lock is a foreign file',
    code: 'data_dir_corrupt',
    says: /is not a lock file/,
    harm: (dir) => writeFile(join(dir, 'gateway.lock'), 'x'.repeat(4096)),
  },
]

describe('a data folder that cannot be used', { timeout: 60_000 }, () => {
  let parent: string
  let pristine: string
  beforeAll(async () => {
    parent = await mkdtemp(join(tmpdir(), 'sallyport-pristine-'))
    pristine = join(parent, 'data')
    const database = await startEmbeddedPostgres({ dataDir: pristine })
    await query(database, 'CREATE TABLE kept AS SELECT 5 AS n')
    await database.stop()
  })
  afterAll(() => rm(parent, { recursive: true, force: true, maxRetries: 10 }))

  async function copyOfPristine(): Promise<string> {
    const dataDir = await freshDataDir()
    await cp(pristine, dataDir, { recursive: true })
    return dataDir
  }

  it.each(DAMAGES)('is refused without a change when $what', async ({ code, says, harm }) => {
    const dataDir = await copyOfPristine()
    await harm(dataDir)
    const before = await digestOf(dataDir)
    await expect(startEmbeddedPostgres({ dataDir })).rejects.toMatchObject({ code, message: expect.stringMatching(says) })
    expect(await digestOf(dataDir)).toEqual(before)
  })

  it('is refused when the password does not fit, and opens again with the right one', async () => {
    const dataDir = await copyOfPristine()
    const file = join(dataDir, 'secrets', 'postgres-superuser')
    await writeFile(file, 'not-the-password')
    await expect(startEmbeddedPostgres({ dataDir })).rejects.toMatchObject({
      code: 'data_dir_corrupt',
      message: expect.not.stringContaining('not-the-password'),
    })
    await cp(join(pristine, 'secrets', 'postgres-superuser'), file)
    const database = stopAfterTest(await startEmbeddedPostgres({ dataDir }))
    expect(await query(database, 'SELECT n FROM kept')).toEqual([{ n: 5 }])
  })

  it('is refused when its path leads through a file', async () => {
    const file = await freshDataDir()
    await writeFile(file, '')
    await expect(startEmbeddedPostgres({ dataDir: join(file, 'data') })).rejects.toMatchObject({
      code: 'data_dir_unwritable',
      message: expect.stringMatching(/ENOTDIR.*SALLYPORT_DATA_DIR/),
    })
  })

  it('frees its lock after a refusal, so that a mended folder starts at once', async () => {
    const dataDir = await copyOfPristine()
    await writeFile(cluster(dataDir, 'PG_VERSION'), '17\n')
    await expect(startEmbeddedPostgres({ dataDir })).rejects.toMatchObject({ code: 'data_dir_version' })
    await writeFile(cluster(dataDir, 'PG_VERSION'), '18\n')
    const database = stopAfterTest(await startEmbeddedPostgres({ dataDir }))
    expect(await query(database, 'SELECT n FROM kept')).toEqual([{ n: 5 }])
  })

  it('is not one that merely holds an extra file', async () => {
    const dataDir = await copyOfPristine()
    await writeFile(cluster(dataDir, 'notes.txt'), 'left by an operator')
    const database = stopAfterTest(await startEmbeddedPostgres({ dataDir }))
    expect(await query(database, 'SELECT n FROM kept')).toEqual([{ n: 5 }])
  })
})
