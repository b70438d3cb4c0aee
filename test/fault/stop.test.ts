import { readdir, readFile, rm, mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from 'pg'
import { afterEach, describe, expect, inject, it } from 'vitest'
import { setStage, startGatewayProcess } from '@sallyport/testkit'
import type { Stage } from '@sallyport/testkit'

const folders: string[] = []
let stage: Stage | undefined

afterEach(async () => {
  await stage?.close()
  stage = undefined
  await Promise.all(folders.splice(0).map((folder) => rm(folder, { recursive: true, force: true, maxRetries: 10 })))
})

async function newDataDir(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'sallyport-stop-'))
  folders.push(folder)
  return join(folder, 'data')
}

/** The embedded server and its children, stopped as a debugger would: they hear nothing but SIGKILL. */
async function freezePostgres(dataDir: string): Promise<void> {
  const parent = Number((await readFile(join(dataDir, 'postgres/postmaster.pid'), 'utf8')).split('\n')[0])
  const statuses = await Promise.all(
    (await readdir('/proc'))
      .filter((name) => /^\d+$/u.test(name))
      .map(async (name) => ({ pid: Number(name), status: await readFile(`/proc/${name}/status`, 'utf8').catch(() => '') })),
  )
  const children = statuses.filter(({ status }) => status.includes(`PPid:\t${parent}\n`)).map(({ pid }) => pid)
  for (const pid of [parent, ...children]) process.kill(pid, 'SIGSTOP')
}

describe('a gateway that is told to end', () => {
  it('F-26 ends although its use log can’t be written, says so, and leaves nothing behind', async () => {
    stage = await setStage({ postgresUrl: inject('postgresUrl'), variables: { SALLYPORT_DRAIN_TIMEOUT_MS: '1000' } })
    stage.upstream.answer((_request, response) => void response.end('ok'))
    const admin = new Client({ connectionString: stage.gateway.databaseUrl! })
    await admin.connect()
    await admin.query('begin; lock table sallyport.audit_event in share mode')
    await (await stage.call('/x')).text()
    expect(await stage.gateway.stop()).not.toBe(0)
    expect(stage.gateway.output()).toMatch(/could not be written/u)
    await admin.query('rollback')
    await admin.end()
  })

  it('F-26 tells its load balancer first and goes on serving; told again, it ends at once', async () => {
    stage = await setStage({ postgresUrl: inject('postgresUrl'), variables: { SALLYPORT_DRAIN_NOTICE_MS: '600000' } })
    stage.upstream.answer((_request, response) => void response.end('ok'))
    const first = stage.gateway.stop()
    await expect.poll(async () => (await fetch(`${stage!.gateway.url}/readyz`)).status).toBe(503)
    expect((await fetch(`${stage.gateway.url}/healthz`)).status).toBe(200)
    expect((await stage.call('/x')).status).toBe(200)
    expect(await stage.gateway.stop()).toBe(1)
    expect(await first).toBe(1)
  })

  it(
    'F-26 ends although its own PostgreSQL no longer hears, and the next start finds every acknowledged row',
    { timeout: 180_000 },
    async () => {
      const dataDir = await newDataDir()
      stage = await setStage({ dataDir, variables: { SALLYPORT_DRAIN_TIMEOUT_MS: '1000' } })
      await freezePostgres(dataDir)
      await stage.gateway.stop()
      const again = await startGatewayProcess({ dataDir })
      expect((await fetch(`${again.url}/readyz`)).status).toBe(200)
      expect(await again.stop()).toBe(0)
    },
  )
})
