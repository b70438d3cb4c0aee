import { access, lstat, readFile, readdir, readlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { bundledPostgres, completeLibraryLinks } from '../../src/db/embedded/binaries.ts'
import { giveTo } from '../../src/db/embedded/cluster.ts'
import { lockDataDir, startEmbeddedPostgres } from '../../src/db/embedded/index.ts'
import { digestOf, freshDataDir, postmasterPid, query, startGatewayProcess, stopAfterTest } from './harness.ts'

const LIMIT = { timeout: 60_000 }

describe('the embedded database', LIMIT, () => {
  it('keeps its rows from one start to the next', async () => {
    const dataDir = await freshDataDir()
    const first = stopAfterTest(await startEmbeddedPostgres({ dataDir }))
    expect(first.serverVersion).toMatch(/^18\.\d+$/)
    await query(first, 'CREATE TABLE kept AS SELECT 42 AS n')
    await first.stop()
    const second = stopAfterTest(await startEmbeddedPostgres({ dataDir }))
    expect(await query(second, 'SELECT n FROM kept')).toEqual([{ n: 42 }])
  })

  it('is durable, checksummed, UTF-8 and without a network port', async () => {
    const database = stopAfterTest(await startEmbeddedPostgres({ dataDir: await freshDataDir() }))
    const names = [
      'fsync',
      'full_page_writes',
      'synchronous_commit',
      'data_checksums',
      'server_encoding',
      'listen_addresses',
      'password_encryption',
    ]
    const rows = await query(database, `SELECT name, setting FROM pg_settings WHERE name IN ('${names.join("','")}')`)
    expect(Object.fromEntries(rows.map((row) => [row['name'], row['setting']]))).toEqual({
      fsync: 'on',
      full_page_writes: 'on',
      synchronous_commit: 'on',
      data_checksums: 'on',
      server_encoding: 'UTF8',
      listen_addresses: '',
      password_encryption: 'scram-sha-256',
    })
    const methods = await query(database, 'SELECT DISTINCT auth_method FROM pg_hba_file_rules')
    expect(methods).toEqual([{ auth_method: 'scram-sha-256' }])
  })

  it('opens nothing to other accounts', async () => {
    const dataDir = await freshDataDir()
    const database = stopAfterTest(await startEmbeddedPostgres({ dataDir }))
    for (const folder of [dataDir, join(dataDir, 'postgres'), join(dataDir, 'secrets'), database.connection.host]) {
      expect((await lstat(folder)).mode & 0o777, folder).toBe(0o700)
    }
    for (const name of ['secrets/postgres-superuser', 'gateway.pid', 'gateway.lock']) {
      expect((await lstat(join(dataDir, name))).mode & 0o777, name).toBe(0o600)
    }
  })

  it('gives its processes nothing of our environment', async () => {
    const dataDir = await freshDataDir()
    stopAfterTest(await startEmbeddedPostgres({ dataDir }))
    const environment = await readFile(`/proc/${await postmasterPid(dataDir)}/environ`, 'latin1')
    expect(environment.split('\0').sort()).toEqual(['', 'LC_ALL=C', 'TZ=UTC'])
  })

  it('leaves no process and no socket folder after stop, which may be called twice', async () => {
    const dataDir = await freshDataDir()
    const database = await startEmbeddedPostgres({ dataDir })
    const pid = await postmasterPid(dataDir)
    await Promise.all([database.stop(), database.stop()])
    expect(() => process.kill(pid ?? 0, 0)).toThrow('ESRCH')
    await expect(access(database.connection.host)).rejects.toThrow('ENOENT')
    expect((await readdir(dataDir)).sort()).toEqual(['gateway.lock', 'postgres', 'secrets'])
  })

  it('tells that it died, and starts again with its rows', async () => {
    const dataDir = await freshDataDir()
    const first = stopAfterTest(await startEmbeddedPostgres({ dataDir }))
    await query(first, 'CREATE TABLE kept AS SELECT 1 AS n')
    process.kill((await postmasterPid(dataDir))!, 'SIGKILL')
    expect(await first.died).toEqual({ code: null, signal: 'SIGKILL' })
    await first.stop()
    const second = stopAfterTest(await startEmbeddedPostgres({ dataDir }))
    expect(await query(second, 'SELECT n FROM kept')).toEqual([{ n: 1 }])
  })

  it('refuses a second gateway on the folder, names the first, and changes nothing', async () => {
    const dataDir = await freshDataDir()
    const database = stopAfterTest(await startEmbeddedPostgres({ dataDir }))
    await expect(startEmbeddedPostgres({ dataDir })).rejects.toMatchObject({ code: 'data_dir_in_use' })
    const other = startGatewayProcess(dataDir)
    const refusal = await other.until('refused')
    expect(refusal).toMatchObject({ code: 'data_dir_in_use', message: expect.stringContaining(`process ${process.pid}`) })
    expect(await query(database, 'SELECT 1 AS n')).toEqual([{ n: 1 }])
  })

  it('works under a lock that its caller took, and leaves that lock to the caller', async () => {
    const dataDir = await freshDataDir()
    const lock = await lockDataDir(dataDir)
    const database = await startEmbeddedPostgres({ dataDir, lock })
    await database.stop()
    await expect(lockDataDir(dataDir)).rejects.toMatchObject({ code: 'data_dir_in_use' })
    await lock.release()
    await (await lockDataDir(dataDir)).release()
  })

  it('as root, runs a cluster of another account as that account and leaves its ownership alone', async () => {
    const dataDir = await freshDataDir()
    await (await startEmbeddedPostgres({ dataDir })).stop()
    const root = process.getuid?.() === 0
    const owner = root ? { uid: 65_534, gid: 65_534 } : { uid: process.getuid!(), gid: process.getgid!() }
    await giveTo(owner, join(dataDir, 'postgres'))
    const database = stopAfterTest(await startEmbeddedPostgres({ dataDir }))
    await query(database, 'CREATE TABLE kept AS SELECT 1 AS n')
    await database.stop()
    const owners = (await digestOf(dataDir)).filter((line) => line.startsWith('postgres')).map((line) => line.split(' ')[2])
    expect(new Set(owners)).toEqual(new Set([String(owner.uid)]))
  })

  it('makes the library links once, however many processes try at the same time', async () => {
    const { postgres } = await bundledPostgres()
    const native = dirname(dirname(postgres))
    await Promise.all(Array.from({ length: 10 }, () => completeLibraryLinks(native)))
    expect(await readlink(join(native, 'lib', 'libpq.so.5'))).toBe('libpq.so.5.18')
  })
})
