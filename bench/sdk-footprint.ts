/**
 * Owns what the SDK weighs: memory of stored connections by store, how long it takes to import, and how large it is on a disk. The store in memory and the
 * import are measured in processes of their own.
 */
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { openTokenStore, Secret } from '@sallyport/core'
import type { OpenTokenStore, TokenSet } from '@sallyport/core'
import { createDatabase, startTestPostgres, startTestRedis } from '@sallyport/testkit'
import { Redis } from 'ioredis'
import { Client } from 'pg'
import { spread } from './statistics.ts'
import type { Spread } from './statistics.ts'

export interface FootprintFigures {
  readonly connections: number
  /** Bytes for each connection: of the process's memory, of Redis' own count, of the tables with their indexes. */
  readonly bytesEach: { readonly memory: number; readonly redis: number; readonly postgres: number }
  /** Milliseconds from `import` to done, in a new process, out of the sources; types are taken off on the way. */
  readonly importMs: Spread
  /** Bytes on a disk: the package's own sources without tests, and what it brings along. */
  readonly installBytes: { readonly own: number; readonly dependencies: Readonly<Record<string, number>> }
}

const run = promisify(execFile)
const ROOT = join(import.meta.dirname, '..')
const DEPENDENCIES = ['jose', 'oauth4webapi', 'undici', 'zod']

export async function measureFootprint(connections: number, progress: (what: string) => void): Promise<FootprintFigures> {
  progress(`${connections} connections in memory`)
  const memory = await inMemory(connections)
  progress(`${connections} connections in Redis`)
  const redis = await inRedis(connections)
  progress(`${connections} connections in Postgres`)
  const postgres = await inPostgres(connections)
  progress('imports')
  const importMs = await imports(7)
  const sizes = await Promise.all(
    DEPENDENCIES.map(async (name) => [name, await sizeOf(join(ROOT, 'node_modules', name), () => true)] as const),
  )
  const own = await sizeOf(join(ROOT, 'packages/core/src'), (name) => !name.endsWith('.test.ts'))
  return { connections, bytesEach: { memory, redis, postgres }, importMs, installBytes: { own, dependencies: Object.fromEntries(sizes) } }
}

/** A token set as large as those of most providers. */
export function tokenSet(): TokenSet {
  const [access, refresh] = [randomBytes(120).toString('base64url'), randomBytes(90).toString('base64url')]
  return {
    accessToken: new Secret(access),
    refreshToken: new Secret(refresh),
    tokenType: 'bearer',
    expiresAt: Date.now() + 3_600_000,
    scopes: ['read', 'write'],
    extra: new Secret('{}'),
  }
}

export async function fill({ store }: OpenTokenStore, connections: number): Promise<void> {
  // Few at a time: what is measured is what is kept, not how fast.
  const each = 20
  for (let from = 0; from < connections; from += each) {
    const users = Array.from({ length: Math.min(each, connections - from) }, (_, index) => `user-${from + index}`)
    await Promise.all(users.map((id) => store.connect({ scope: 'bench', id }, tokenSet())))
  }
}

async function inMemory(connections: number): Promise<number> {
  const program = `
    const { fill } = await import(${JSON.stringify(import.meta.url)})
    const { openTokenStore } = await import('@sallyport/core')
    const opened = openTokenStore({ backend: 'memory' }, { production: false, insecureAllowOrigins: [] })
    await fill(opened, 1000)
    const used = () => { gc(); const { heapUsed, external } = process.memoryUsage(); return heapUsed + external }
    const before = used()
    await fill(opened, ${connections} + 1000)
    process.stdout.write(String((used() - before) / ${connections}))
    await opened.close()`
  const { stdout } = await run(process.execPath, ['--expose-gc', '--input-type=module', '--eval', program], { cwd: join(ROOT, 'bench') })
  return Math.round(Number(stdout))
}

async function inRedis(connections: number): Promise<number> {
  const server = await startTestRedis()
  const asking = new Redis(server.url)
  const used = async (): Promise<number> => Number(/used_memory:(\d+)/u.exec(await asking.info('memory'))![1])
  const before = await used()
  const opened = openTokenStore({ backend: 'redis', url: server.url, ...sealed() }, AROUND)
  await fill(opened, connections)
  const each = Math.round(((await used()) - before) / connections)
  await opened.close()
  asking.disconnect()
  await server.stop()
  return each
}

async function inPostgres(connections: number): Promise<number> {
  const server = await startTestPostgres({ major: 18 })
  const database = await createDatabase(server.url)
  const opened = openTokenStore({ backend: 'postgres', url: database.url, ...sealed() }, AROUND)
  await fill(opened, connections)
  await opened.close()
  const client = new Client(database.url)
  await client.connect()
  const { rows } = await client.query<{ bytes: string }>(
    "select sum(pg_total_relation_size(oid))::text bytes from pg_class where relkind = 'r' and relnamespace not in (select oid from pg_namespace where nspname like 'pg_%' or nspname = 'information_schema')",
  )
  await client.end()
  await server.stop()
  return Math.round(Number(rows[0]!.bytes) / connections)
}

const AROUND = { production: false, insecureAllowOrigins: [] }
const sealed = () => ({ encryption: { key: new Secret(randomBytes(32).toString('hex')), algorithm: 'aes-256-gcm' } })

async function imports(times: number): Promise<Spread> {
  const program =
    "const since = performance.now(); await import('@sallyport/core'); process.stdout.write(String(performance.now() - since))"
  const samples: number[] = []
  for (let i = 0; i < times; i++) {
    const { stdout } = await run(process.execPath, ['--input-type=module', '--eval', program], { cwd: join(ROOT, 'bench') })
    samples.push(Number(stdout))
  }
  return spread(samples)
}

async function sizeOf(folder: string, counts: (name: string) => boolean): Promise<number> {
  const files = (await readdir(folder, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile() && counts(entry.name))
  const sizes = await Promise.all(files.map(async ({ parentPath, name }) => (await stat(join(parentPath, name))).size))
  return sizes.reduce((sum, size) => sum + size, 0)
}
