import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { access } from 'node:fs/promises'
import { connect } from 'node:net'
import { createInterface } from 'node:readline'
import { Client } from 'pg'
import { describe, expect, it, onTestFinished } from 'vitest'
import {
  createDatabase,
  dropDatabase,
  ensureTestServers,
  findPostgres,
  startTestPostgres,
  startTestRedis,
} from '../../src/servers/index.ts'

const LIMIT = { timeout: 60_000 }

async function rowsOf(url: string, text: string): Promise<unknown[]> {
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    return (await client.query(text)).rows
  } finally {
    await client.end()
  }
}

async function answerOf(url: string, line: string): Promise<string> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  await once(socket, 'connect')
  socket.write(line)
  const [answer] = await once(socket, 'data')
  socket.destroy()
  return String(answer)
}

describe('test servers', LIMIT, () => {
  it('gives each test file its own copy of a template, and takes it back', async () => {
    const server = await startTestPostgres({ major: 18 })
    onTestFinished(() => server.stop())
    const template = await createDatabase(server.url)
    await rowsOf(template.url, 'CREATE TABLE kept AS SELECT 1 AS n')
    const copies = await Promise.all([createDatabase(server.url, template.name), createDatabase(server.url, template.name)])
    await rowsOf(copies[0].url, 'UPDATE kept SET n = 2')
    expect(await rowsOf(copies[1].url, 'SELECT n FROM kept')).toEqual([{ n: 1 }])
    await dropDatabase(server.url, copies[0].name)
    await dropDatabase(server.url, copies[0].name)
    await expect(rowsOf(copies[0].url, 'SELECT 1')).rejects.toMatchObject({ code: '3D000' })
  })

  it('never drops a database that it did not name', async () => {
    await expect(dropDatabase('postgres://nobody@127.0.0.1:1/x', 'postgres')).rejects.toThrow('not a database of this suite')
  })

  it('starts the oldest supported version where it is installed, and says how to install it elsewhere', async () => {
    if ((await findPostgres(15)) === undefined) {
      await expect(startTestPostgres({ major: 15 })).rejects.toThrow('apt-get install postgresql-15')
      return
    }
    const server = await startTestPostgres({ major: 15 })
    onTestFinished(() => server.stop())
    expect(server.version).toMatch(/^15\./)
    expect(await rowsOf(server.url, 'SELECT 1 AS n')).toEqual([{ n: 1 }])
  })

  it('starts a Redis that answers, and ends it', async () => {
    const redis = await startTestRedis()
    onTestFinished(() => redis.stop())
    expect(await answerOf(redis.url, 'PING\r\n')).toBe('+PONG\r\n')
    await redis.stop()
    await expect(answerOf(redis.url, 'PING\r\n')).rejects.toThrow('ECONNREFUSED')
  })

  it('leaves no server behind when the run is killed', async () => {
    const script = `const { startTestPostgres, startTestRedis } = await import(${JSON.stringify(new URL('../../src/servers/index.ts', import.meta.url).href)})
      const [postgres, redis] = await Promise.all([startTestPostgres({ major: 18 }), startTestRedis()])
      console.log(JSON.stringify([postgres.url, redis.url]))
      setInterval(() => {}, 1000)`
    const run = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] })
    onTestFinished(() => void run.kill('SIGKILL'))
    const [line] = await once(createInterface({ input: run.stdout }), 'line')
    const sockets = (JSON.parse(String(line)) as string[]).map((url) => connect(Number(new URL(url).port), '127.0.0.1'))
    for (const socket of sockets) {
      socket.on('error', () => {})
      await once(socket, 'connect')
    }
    const ends = sockets.map((socket) => new Promise((resolve) => socket.resume().once('close', resolve)))
    run.kill('SIGKILL')
    await Promise.all(ends)
  })

  it('uses given servers, and names the setting when one does not answer', async () => {
    const server = await startTestPostgres({ major: 18 })
    onTestFinished(() => server.stop())
    const given = { SALLYPORT_TEST_POSTGRES_URL: server.url, SALLYPORT_TEST_REDIS_URL: 'redis://127.0.0.1:1' }
    const servers = await ensureTestServers({ environment: given })
    expect(servers).toMatchObject({ postgres18Url: server.url, redisUrl: 'redis://127.0.0.1:1' })
    await access(servers.chromiumPath)
    await servers.stop()
    expect(await rowsOf(server.url, 'SELECT 1 AS n')).toEqual([{ n: 1 }])
    await server.stop()
    await expect(ensureTestServers({ environment: given })).rejects.toThrow('SALLYPORT_TEST_POSTGRES_URL does not answer')
  })

  it('says what to install and how where it may not', async () => {
    const script = `process.getuid = () => 1000
      const { installDebianPackages } = await import(${JSON.stringify(new URL('../../src/servers/index.ts', import.meta.url).href)})
      await installDebianPackages(['redis-server']).catch((error) => console.log(error.message))`
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] })
    const [line] = await once(createInterface({ input: child.stdout }), 'line')
    expect(line).toContain('run as root: apt-get update && apt-get install -y --no-install-recommends redis-server')
  })
})
