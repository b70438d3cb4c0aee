import { chmod, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { reachableBinaries } from '../../src/db/embedded/reachable.ts'

const made: string[] = []
afterEach(async () => {
  await Promise.all(made.splice(0).map((path) => rm(path, { recursive: true, force: true, maxRetries: 10 })))
})

/** An installation behind a folder with `mode`. */
async function installation(mode: number): Promise<{ postgres: string; initdb: string; major: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'sallyport-installed-'))
  made.push(folder)
  const bin = join(folder, 'native', 'bin')
  await mkdir(bin, { recursive: true })
  for (const program of ['postgres', 'initdb']) await writeFile(join(bin, program), `#!/bin/sh\n# ${program}\n`, { mode: 0o755 })
  await chmod(folder, mode)
  return { postgres: join(bin, 'postgres'), initdb: join(bin, 'initdb'), major: '18' }
}

const NOBODY = { uid: 65_534, gid: 65_534 }
const isRoot = process.getuid?.() === 0

describe('PostgreSQL’s programs', () => {
  it('are used where they are when their account may walk there, or when there is no other account', async () => {
    const open = await installation(0o755)
    expect(await reachableBinaries(open, NOBODY)).toEqual(open)
    const closed = await installation(0o700)
    expect(await reachableBinaries(closed, undefined)).toEqual(closed)
    expect(await reachableBinaries(closed, { uid: process.getuid!(), gid: process.getgid!() })).toEqual(closed)
  })

  // Only root runs them as another account; for anybody else the case can't arise, and the copy would not be root's.
  it('behind a folder that is closed to their account are copied once, to a place that only root may change', async () => {
    const closed = await installation(0o700)
    const copies = await Promise.all(Array.from({ length: isRoot ? 5 : 1 }, () => reachableBinaries(closed, NOBODY)))
    made.push(...copies.map(({ postgres }) => dirname(dirname(postgres))))
    const [copy] = copies
    expect(new Set(copies.map(({ postgres }) => postgres)).size).toBe(1)
    expect(copy!.postgres).not.toBe(closed.postgres)
    expect(await readFile(copy!.initdb, 'utf8')).toContain('# initdb')
    expect((await stat(dirname(dirname(copy!.postgres)))).mode & 0o777).toBe(0o755)
    if (isRoot) expect(await reachableBinaries(closed, NOBODY)).toEqual(copy)
  })

  it('are not taken from a place that others could have filled', async () => {
    const closed = await installation(0o700)
    const first = await reachableBinaries(closed, NOBODY)
    const place = dirname(dirname(first.postgres))
    made.push(place)
    await chmod(place, 0o777)
    const second = await reachableBinaries(closed, NOBODY)
    made.push(dirname(dirname(second.postgres)))
    expect(second.postgres).not.toBe(first.postgres)
  })
})
