import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { allBreaches, breachesOf, sourceFiles, wordBreaches } from './imports.ts'

const root = join(import.meta.dirname, '../..')

describe('the architecture', () => {
  it('S88 S90 S91 holds: no source imports what its place may not, starts a process or makes SQL or code of text', () => {
    expect(sourceFiles(root).length).toBeGreaterThan(20)
    expect(allBreaches(root)).toEqual([])
  })

  // The guard itself must bite, or the day it silently stops nobody notices.
  it.each([
    ['packages/contract/src/x.ts', "import fs from 'node:fs'", 'contract imports zod and nothing else'],
    ['packages/core/src/kernel/x.ts', "export * from '../crypto/index.ts'", 'core/kernel stands to the left of core/crypto'],
    ['packages/core/src/http/x.ts', "const m = await import('../oauth/index.ts')", 'core/http stands to the left of core/oauth'],
    ['packages/core/src/keysources/x.ts', "import { t } from '../tokens/index.ts'", 'core/keysources stands to the left of core/tokens'],
    ['packages/core/src/x.ts', "import type { A } from 'sallyport'", 'core does not import server'],
    ['packages/server/src/proxy/x.ts', "import { Pool } from 'pg'", 'only db and the token store on Postgres import the database driver'],
    ['packages/core/src/tokens/x.ts', "import { Redis } from 'ioredis'", 'only the stores on Redis import its driver'],
    ['packages/core/src/crypto/x.ts', "import koffi from 'koffi'", 'only a key source calls foreign functions'],
    ['packages/core/src/sdk/x.ts', "import { trace } from '@opentelemetry/api'", 'only observability knows the application’s traces'],
    ['packages/server/src/connect/x.ts', "import { jwtVerify } from 'jose'", 'only core/jwt reads and makes signed tokens'],
    [
      'packages/server/src/proxy/x.ts',
      "export { Kysely } from 'kysely'",
      'only db and the token store on Postgres import the database driver',
    ],
    ['packages/server/src/proxy/x.ts', "import { request } from 'undici'", 'only core/http goes out'],
    ['packages/server/src/vault/x.ts', "import { createHmac } from 'node:crypto'", 'only core/crypto imports ciphers and keyed hashes'],
    ['packages/server/src/vault/x.ts', "import * as c from 'node:crypto'", 'only core/crypto imports ciphers and keyed hashes'],
    ['packages/server/src/db/x.ts', "import { v } from '../vault/index.ts'", 'db sees no feature'],
    ['packages/server/src/proxy/x.ts', "import { v } from '../vault/keys.ts'", 'a feature is seen through its index.ts'],
    ['packages/server/src/vault/x.ts', "import { r } from '../routes/index.ts'", 'nothing but compose imports routes'],
    ['packages/server/src/vault/x.ts', "import { c } from '../compose/index.ts'", 'only main.ts and cli import compose'],
    ['packages/server/src/x.ts', "import { k } from '@sallyport/testkit'", 'server does not import testkit'],
    ['packages/server/src/x.ts', "import { k } from '../../sandbox/src/index.ts'", 'server does not import sandbox'],
    ['packages/server/src/x.ts', "import { k } from '@sallyport/core/src/kernel/secret.ts'", 'a package is imported by its name alone'],
    ['packages/server/src/x.ts', 'const m = await import(name)', 'a dynamic import names its target literally'],
    [
      'packages/server/src/vault/x.ts',
      "import { exec } from 'node:child_process'",
      'only the embedded database and a PKCS#11 module have processes of their own',
    ],
    ['packages/core/src/kernel/x.ts', "import vm from 'vm'", 'nothing evaluates text'],
    ['packages/client/src/x.ts', "import { s } from '@sallyport/core'", 'client does not import core'],
    ['packages/console/src/x.ts', "import { s } from 'sallyport'", 'console does not import server'],
  ])('refuses %s with %s', (file, text, rule) => {
    expect(breachesOf(file, text).map((breach) => breach.rule)).toContain(rule)
  })

  it.each([
    ['packages/server/src/proxy/x.ts', 'const a = process.env.A', 'only config.ts reads the environment'],
    ['packages/server/src/proxy/x.ts', "console.log('a')", 'only observability and the command line write to the terminal'],
    ['packages/server/src/audit/x.ts', 'secret.reveal()', 'Secret.reveal() is called in the listed places'],
    ['packages/server/src/audit/x.ts', 'eval(text)', 'no text becomes code or SQL'],
    ['packages/server/src/db/queries/x.ts', 'sql.raw(name)', 'no text becomes code or SQL'],
    ['packages/server/src/db/queries/x.ts', 'pool.query<Row>(`select ${name}`)', 'values are parameters, never text'],
    ['packages/server/src/audit/x.ts', "await fetch('https://a.test')", 'nothing calls the global fetch'],
  ])('refuses the words of %s: %s', (file, text, rule) => {
    expect(wordBreaches(file, text).map((breach) => breach.rule)).toEqual([rule])
  })

  it.each([
    ['packages/server/src/proxy/x.ts', "import { v } from '../vault/index.ts'"],
    ['packages/server/src/proxy/x.ts', "import { t } from '../db/queries/target.ts'"],
    ['packages/server/src/proxy/x.ts', "import { timingSafeEqual } from 'node:crypto'"],
    ['packages/core/src/oauth/x.ts', "import { e } from '../http/index.ts'"],
    ['packages/client/src/x.ts', "import { o } from '@sallyport/contract'"],
  ])('allows %s with %s', (file, text) => {
    expect(breachesOf(file, text)).toEqual([])
  })
})
