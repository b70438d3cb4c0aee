/** `npm run check`: types of every package, lint with types, formatting. All steps run, also after one failed. Exit code 1 when any did. */
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { commandStep, ROOT } from './steps.ts'

/** Runs every check and gives the titles of those that failed. */
export async function check(): Promise<string[]> {
  const failed: string[] = []
  const run = async (title: string, program: string, args: string[]): Promise<void> => {
    if (!(await commandStep(title, { program: `node_modules/.bin/${program}`, args, output: 'on-failure' }))) failed.push(title)
  }
  for (const project of typeProjects())
    await run(`types of ${project === '.' ? 'the scripts and shared tests' : project}`, 'tsc', ['-p', project])
  await run('lint', 'oxlint', [])
  await run('format', 'oxfmt', ['--check'])
  return failed
}

/** Every folder with a tsconfig.json of its own, the root last. */
function typeProjects(): string[] {
  const packages = readdirSync(join(ROOT, 'packages')).map((name) => join('packages', name))
  return [...packages, '.'].filter((folder) => existsSync(join(ROOT, folder, 'tsconfig.json')))
}

if (import.meta.main) {
  const failed = await check()
  console.log(failed.length === 0 ? 'All checks passed.' : `Failed: ${failed.join(', ')}`)
  process.exitCode = failed.length === 0 ? 0 : 1
}
