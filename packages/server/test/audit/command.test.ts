import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { formatId, newId } from '@sallyport/core'
import { appendAudit } from '../../src/audit/index.ts'
import { auditCommand, isBareVerify, verifyExportFile } from '../../src/cli/audit.ts'
import { loadConfig } from '../../src/config.ts'
import type { Database } from '../../src/db/index.ts'
import { freshDatabase } from '../db/fresh-database.ts'
import type { FreshDatabase } from '../db/fresh-database.ts'
import { thing } from './world.ts'

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url))
const ROOT_KEY = `r1:${'0123456789abcdef'.repeat(4)}`
const org = newId('org')

let fresh: FreshDatabase
let database: Database
let folder: string
beforeAll(async () => {
  fresh = await freshDatabase(inject('postgresUrl'))
  database = await fresh.open()
  folder = await mkdtemp(join(tmpdir(), 'sallyport-audit-'))
  await database.withTenant(org, (tx) => appendAudit(tx, ...Array.from({ length: 20 }, (_, n) => thing(n))))
})
afterAll(async () => {
  await fresh.drop()
  await rm(folder, { recursive: true, force: true, maxRetries: 10 })
})

/** `sallyport audit ...` as `main.ts` runs it, on the test's database. */
async function audit(words: readonly string[]): Promise<{ code: number; stdout: string }> {
  const env = {
    SALLYPORT_MODE: 'development',
    SALLYPORT_DATABASE_URL: fresh.url.reveal(),
    SALLYPORT_ENCRYPTION_KEYS: ROOT_KEY,
    SALLYPORT_DATA_DIR: folder,
    SALLYPORT_LOG_LEVEL: 'silent',
  }
  const args = words.filter((word) => word !== '--json')
  const printed: string[] = []
  const telling = { args, json: args.length < words.length, print: (text: string) => void printed.push(text) }
  const code = isBareVerify(['audit', ...args])
    ? await verifyExportFile(telling)
    : await auditCommand({ ...telling, config: loadConfig({ env, argv: [] }) })
  return { code, stdout: printed.map((text) => `${text}\n`).join('') }
}

/** The same as a process of its own, on a machine that has nothing but the file. */
function bare(words: readonly string[]): Promise<{ code: number; stdout: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [MAIN, 'audit', ...words], { cwd: folder, env: { PATH: process.env['PATH'] } }, (error, stdout) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : 0, stdout })
    })
  })
}

// Each command opens the database and the root keys anew, and one is a process of its own.
describe('sallyport audit', { timeout: 300_000 }, () => {
  it('exports a log that anybody proves with the public key alone, and says what it can not read', async () => {
    const file = join(folder, 'export.jsonl')
    const exported = await audit(['export', '--org', formatId('org', org)])
    expect(exported.code).toBe(0)
    await writeFile(file, exported.stdout)
    const [{ public_key: key }] = JSON.parse((await audit(['key', '--json'])).stdout) as [{ public_key: string }]
    const proven = await bare([
      'verify',
      '--export',
      file,
      '--key',
      key,
      '--checkpoints',
      join(folder, 'audit-checkpoints.jsonl'),
      '--json',
    ])
    expect(proven.code).toBe(0)
    // Twenty, and the export itself.
    expect(JSON.parse(proven.stdout)).toMatchObject({
      intact: true,
      unreadable_checkpoints: 0,
      logs: [{ events: '21', vouched: { seq: '21' } }],
    })
    await writeFile(file, exported.stdout.replace('thing 7', 'thing 8'))
    const changed = await audit(['verify', '--export', file, '--key', key])
    expect([changed.code, changed.stdout]).toEqual([5, expect.stringContaining('NOT WHOLE  content at event 8')])
    // One key in 64 begins so.
    const hyphened = `-${'A'.repeat(42)}`
    expect((await audit(['verify', '--export', file, '--key', hyphened, '--key', key])).code).toBe(5)
    const absent = audit(['verify', '--export', join(folder, 'absent'), '--key', key])
    await expect(absent).rejects.toThrow("absent can't be read (ENOENT)")
    for (const words of [
      ['verify', '--export', file],
      ['verify', '--export', file, '--key', 'short'],
      ['verify', '--nothing'],
      ['export'],
      ['else'],
    ]) {
      expect((await audit(words)).code, words.join(' ')).toBe(2)
    }
  })

  it('verifies every log of the database against the key and the file that it was given', async () => {
    const { public_key: key } = JSON.parse((await audit(['rotate-key', '--json'])).stdout) as { public_key: string }
    const file = join(folder, 'audit-checkpoints.jsonl')
    const words = ['verify', '--key', key, '--checkpoints', file]
    const whole = await audit([...words, '--json'])
    expect(whole.code).toBe(0)
    const { intact, logs } = JSON.parse(whole.stdout) as { intact: boolean; logs: { org: string }[] }
    expect(intact).toBe(true)
    expect(logs.map((log) => log.org)).toContain(formatId('org', org))
    // A checkpoint of a log that the database knows nothing of any more.
    const text = await readFile(file, 'utf8')
    for (const table of ['audit_event', 'audit_head', 'audit_checkpoint']) {
      await fresh.asSuperuser(`alter table sallyport.${table} disable trigger all`)
      await fresh.asSuperuser(`delete from sallyport.${table} where org_id = $1`, [org])
      await fresh.asSuperuser(`alter table sallyport.${table} enable trigger all`)
    }
    expect(text).toContain(formatId('org', org))
    const gone = await audit(words)
    expect([gone.code, gone.stdout]).toEqual([5, expect.stringContaining(`${formatId('org', org)}  NOT WHOLE  outside`)])
  })
})
