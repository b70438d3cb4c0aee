import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { putInPlace } from './build-console.ts'

const folder = mkdtempSync(join(tmpdir(), 'sallyport-build-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** A build by `maker` of the sources with this hash, beside `dist`. */
function build(at: string, maker: string, hash: string): string {
  const path = join(at, maker)
  mkdirSync(path, { recursive: true })
  writeFileSync(join(path, 'index.html'), maker)
  writeFileSync(join(path, '.sources-hash'), hash)
  return path
}

describe('the console, built', () => {
  it('takes the place of none, and of an older one, whole', () => {
    const at = join(folder, 'older')
    const dist = join(at, 'dist')
    putInPlace(build(at, 'first', 'a'), dist, 'a')
    writeFileSync(join(dist, 'of-the-first.js'), '')
    putInPlace(build(at, 'second', 'b'), dist, 'b')
    expect(readdirSync(dist).toSorted()).toEqual(['.sources-hash', 'index.html'])
    expect(readFileSync(join(dist, 'index.html'), 'utf8')).toBe('second')
    expect(readdirSync(at)).toEqual(['dist'])
  })

  it('leaves one of the same sources where it is, for whoever serves it already', () => {
    const at = join(folder, 'same')
    const dist = join(at, 'dist')
    putInPlace(build(at, 'first', 'a'), dist, 'a')
    putInPlace(build(at, 'second', 'a'), dist, 'a')
    expect(readFileSync(join(dist, 'index.html'), 'utf8')).toBe('first')
  })
})
