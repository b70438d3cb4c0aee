/**
 * Builds the console with Vite when its sources changed since the last build, into packages/console/dist (not committed). The new build takes
 * the old one's place only when it is complete, so a gateway that serves it never sees half of one.
 */
import { createHash, randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT, runCommand } from './steps.ts'

const CONSOLE = join(ROOT, 'packages/console')
const DIST = join(CONSOLE, 'dist')
const STAMP = '.sources-hash'

/** What the built console depends on: its own files, what it imports of ours, and the versions of everything else. */
const SOURCES = ['packages/console', 'packages/client/src', 'packages/contract/src', 'package-lock.json', 'tsconfig.base.json']

export type ConsoleBuild = 'built' | 'unchanged' | 'nothing to build' | 'failed'

export async function buildConsole(): Promise<ConsoleBuild> {
  if (!existsSync(join(CONSOLE, 'index.html'))) return 'nothing to build'
  const hash = sourcesHash()
  if (isBuildOf(DIST, hash)) return 'unchanged'
  const next = join(ROOT, '.cache', `console-${randomBytes(6).toString('hex')}`)
  mkdirSync(next, { recursive: true })
  try {
    const code = await runCommand({
      script: 'node_modules/vite/bin/vite.js',
      args: ['build', '--outDir', next, '--emptyOutDir', '--logLevel', 'warn'],
      cwd: CONSOLE,
      output: 'on-failure',
    })
    if (code !== 0) return 'failed'
    writeFileSync(join(next, STAMP), hash)
    putInPlace(next, DIST, hash)
    return 'built'
  } finally {
    rmSync(next, { recursive: true, force: true })
  }
}

function isBuildOf(folder: string, hash: string): boolean {
  const stamp = join(folder, STAMP)
  return existsSync(stamp) && readFileSync(stamp, 'utf8') === hash
}

/**
 * Puts the build `next` where `place` is, unless one of the same sources stands there already: several processes may build at once, and a gateway that
 * serves what the first of them put there must not lose it.
 */
export function putInPlace(next: string, place: string, hash: string): void {
  while (!isBuildOf(place, hash)) {
    try {
      // Takes an empty place, and no other.
      renameSync(next, place)
    } catch (error) {
      if (!['ENOTEMPTY', 'EEXIST'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error
      clear(place, `${next}-before`)
    }
  }
}

/** Moved first, so that nobody finds a folder that is half gone. */
function clear(place: string, aside: string): void {
  try {
    renameSync(place, aside)
  } catch (error) {
    // Another process was quicker.
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
  rmSync(aside, { recursive: true, force: true })
}

function sourcesHash(): string {
  const hash = createHash('sha256')
  for (const file of SOURCES.flatMap((source) => filesUnder(source))) {
    // Names and lengths too: moving a byte from one file to the next is a change.
    const content = readFileSync(join(ROOT, file))
    hash.update(`${file}\0${content.length}\0`).update(content)
  }
  return hash.digest('hex')
}

/** Files under a path from the root, sorted; built and installed folders left out. */
function filesUnder(path: string): string[] {
  const found = statSync(join(ROOT, path), { throwIfNoEntry: false })
  if (found === undefined) return []
  if (found.isFile()) return [path]
  const entries = readdirSync(join(ROOT, path), { withFileTypes: true }).toSorted((a, b) => (a.name < b.name ? -1 : 1))
  return entries.flatMap((entry) => {
    if (entry.isDirectory()) return entry.name === 'dist' || entry.name === 'node_modules' ? [] : filesUnder(join(path, entry.name))
    return [join(path, entry.name)]
  })
}

if (import.meta.main) {
  const result = await buildConsole()
  console.log(`Console: ${result}.`)
  process.exitCode = result === 'failed' ? 1 : 0
}
