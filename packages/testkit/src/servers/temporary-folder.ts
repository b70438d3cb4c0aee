/** Owns the throw-away folders of test servers. Refuses to remove one whose maker may still live. */
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const NAME = /^sallyport-test-([1-9]\d*)-/

/** Makes a private folder named after this process, and first removes those of processes that are gone: a killed run cleans nothing up itself. */
export async function temporaryFolder(): Promise<string> {
  await sweep(tmpdir())
  return mkdtemp(join(tmpdir(), `sallyport-test-${process.pid}-`))
}

async function sweep(parent: string): Promise<void> {
  for (const name of await readdir(parent)) {
    const maker = Number(NAME.exec(name)?.[1] ?? 0)
    if (maker === 0 || isAlive(maker)) continue
    const folder = join(parent, name)
    const found = await stat(folder).catch(() => undefined)
    if (found?.uid === process.getuid?.()) await rm(folder, { recursive: true, force: true, maxRetries: 10 })
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
}
