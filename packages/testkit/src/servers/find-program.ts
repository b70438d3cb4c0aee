/** Owns looking programs up on the search path. */
import { constants } from 'node:fs'
import { access } from 'node:fs/promises'
import { delimiter, join } from 'node:path'

/** Absolute path of the first of `names` that can be run, preferring earlier names over earlier folders; undefined when there is none. */
export async function findProgram(names: readonly string[]): Promise<string | undefined> {
  const folders = [
    ...(process.env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== ''),
    '/usr/bin',
    '/usr/sbin',
    '/usr/local/bin',
  ]
  for (const name of names) {
    for (const folder of folders) {
      if (await isRunnable(join(folder, name))) return join(folder, name)
    }
  }
  return undefined
}

async function isRunnable(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
