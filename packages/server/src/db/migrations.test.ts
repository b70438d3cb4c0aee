import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { pendingMigrations, readMigrations } from './migrations.ts'
import { judgeVersion } from './role.ts'

const migration = (name: string, checksum = name) => ({ name, checksum, sql: '' })
const known = [migration('0001_a'), migration('0002_b'), migration('0003_c')]
const refusal = (code: string) => expect.objectContaining({ code }) as Error

describe('pendingMigrations', () => {
  it('are those after the last applied, in order', () => {
    expect(pendingMigrations(known, [])).toEqual(known)
    expect(pendingMigrations(known, known.slice(0, 2))).toEqual(known.slice(2))
    expect(pendingMigrations(known, known)).toEqual([])
  })

  it('refuse a changed, a renamed and an unknown migration', () => {
    expect(() => pendingMigrations(known, [migration('0001_a', 'other')])).toThrow(refusal('database_migration_changed'))
    expect(() => pendingMigrations(known, [migration('0001_z')])).toThrow(refusal('database_migration_changed'))
    expect(() => pendingMigrations(known, [...known, migration('0004_d')])).toThrow(refusal('database_migration_unknown'))
    // One that comes to stand before what was applied would run in another order here than elsewhere.
    const late = [known[0]!, migration('0002_a_late'), ...known.slice(1)]
    expect(() => pendingMigrations(late, known)).toThrow(refusal('database_migration_changed'))
  })
})

describe('readMigrations', () => {
  it('gives every file of this build, in rising order', () => {
    const names = readMigrations().map(({ name }) => name)
    expect(names.length).toBeGreaterThanOrEqual(5)
    const numbers = names.map((name) => Number(name.slice(0, 4)))
    expect(numbers).toEqual([...new Set(numbers)].toSorted((a, b) => a - b))
  })

  it('refuses two files with one number, and a file without', () => {
    for (const files of [
      ['0001_a.sql', '0001_b.sql'],
      ['0001_a.sql', 'two.sql'],
    ]) {
      const folder = mkdtempSync(join(tmpdir(), 'sallyport-migrations-'))
      for (const file of files) writeFileSync(join(folder, file), 'select 1')
      expect(() => readMigrations(folder)).toThrow('out of order')
      rmSync(folder, { recursive: true, maxRetries: 10 })
    }
  })
})

describe('judgeVersion', () => {
  it('X-05 takes each supported major from its floor on, and newer majors', () => {
    for (const version of [150_014, 150_018, 160_010, 170_006, 180_000, 180_004, 190_000]) expect(() => judgeVersion(version)).not.toThrow()
    for (const version of [150_013, 160_009, 170_005, 140_099, 130_000, 90_624, Number.NaN]) {
      expect(() => judgeVersion(version), String(version)).toThrow(refusal('database_version'))
    }
  })
})
