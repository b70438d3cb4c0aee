/** Where answers wait: a folder and Redis. */
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { existsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { describe, expect, it } from 'vitest'
import { FileSpill, RedisSpill } from '../../src/index.ts'
import { startTestRedis } from '../../../testkit/src/servers/index.ts'
import { someAnswer, spillSuite } from '../../../testkit/src/suites/index.ts'

spillSuite('a folder', async () => {
  const above = await mkdtemp(join(tmpdir(), 'sallyport-spill-'))
  const folder = join(above, 'made', 'when-needed')
  return {
    open: async (onUnreadable) => new FileSpill(folder, { onUnreadable }),
    litter: (name, text) => writeFile(join(folder, name), text),
    lies: async (name) => existsSync(join(folder, name)),
    dump: async () => Buffer.concat(await Promise.all((await readdir(folder)).map((name) => readFile(join(folder, name))))),
    close: () => rm(above, { recursive: true, maxRetries: 10 }),
  }
})

spillSuite('Redis', async () => {
  const server = await startTestRedis()
  const client = new Redis(server.url)
  const opened: RedisSpill[] = []
  return {
    open: async (onUnreadable) => {
      const spill = new RedisSpill({ url: server.url }, { onUnreadable })
      opened.push(spill)
      return spill
    },
    litter: async (name, text) => void (await client.hset('sallyport:spill', name, text)),
    lies: async (name) => (await client.hexists('sallyport:spill', name)) === 1,
    dump: async () => Buffer.concat(await client.hvalsBuffer('sallyport:spill')),
    close: async () => {
      for (const spill of opened) await spill.close()
      client.disconnect()
      await server.stop()
    },
  }
})

describe('a spill in a folder', () => {
  it('is for its user alone, and shows nothing unfinished', async () => {
    const folder = join(await mkdtemp(join(tmpdir(), 'sallyport-spill-')), 'own')
    const spill = new FileSpill(folder)
    await spill.put(someAnswer())
    expect((await stat(folder)).mode & 0o777).toBe(0o700)
    const [name] = await readdir(folder)
    expect((await stat(join(folder, name!))).mode & 0o777).toBe(0o600)
    await writeFile(join(folder, `${'0'.repeat(64)}.half.writing`), '{"v":1,')
    expect(await spill.list()).toHaveLength(1)
    await rm(folder, { recursive: true, maxRetries: 10 })
  })

  it('says that an answer was not put when it was not', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'sallyport-spill-'))
    await writeFile(join(folder, 'file'), '')
    await expect(new FileSpill(join(folder, 'file')).put(someAnswer())).rejects.toThrow()
    await rm(folder, { recursive: true, maxRetries: 10 })
  })
})

describe('a spill in Redis', () => {
  it('says that an answer was not put when the server is away', async () => {
    const server = await startTestRedis()
    await server.stop()
    const spill = new RedisSpill({ url: server.url })
    await expect(spill.put(someAnswer())).rejects.toMatchObject({ code: 'store_unavailable' })
    await spill.close()
  })
})
