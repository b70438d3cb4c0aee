/** Holds what README and the docs send their readers to: files, headings and commands that are there. */
import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { ROOT } from './steps.ts'

const PAGES = [
  ...['README.md', 'CONTRIBUTING.md', 'SECURITY.md'].map((name) => join(ROOT, name)),
  ...readdirSync(join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => join(ROOT, 'docs', name)),
]
const README = readFileSync(join(ROOT, 'README.md'), 'utf8')

interface Link {
  readonly page: string
  readonly target: string
}

/** Links to files of ours. */
function linksOf(page: string): Link[] {
  const text = readFileSync(page, 'utf8').replace(/```.*?```/gsu, '')
  return [...text.matchAll(/\]\((?<target>[^)\s]+)\)/gu)]
    .map(({ groups }) => ({ page, target: groups?.['target'] ?? '' }))
    .filter(({ target }) => !/^[a-z]+:/u.test(target))
}

/** How a heading is addressed where these pages are read. */
function anchorsOf(page: string): string[] {
  return [...readFileSync(page, 'utf8').matchAll(/^#+ (?<words>.*)$/gmu)].map(({ groups }) =>
    (groups?.['words'] ?? '')
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\- _]/gu, '')
      .replaceAll(' ', '-'),
  )
}

function leadsNowhere({ page, target }: Link): boolean {
  const [path = '', anchor] = target.split('#')
  const file = path === '' ? page : resolve(dirname(page), path)
  if (!existsSync(file)) return true
  return anchor !== undefined && file.endsWith('.md') && !anchorsOf(file).includes(anchor)
}

describe('what readers are sent to', () => {
  it('every link of README and the docs leads to a file and a heading that are there', () => {
    const links = PAGES.flatMap(linksOf)
    expect(links.length).toBeGreaterThan(100)
    expect(links.filter(leadsNowhere).map(({ page, target }) => `${relative(ROOT, page)}: ${target}`)).toEqual([])
  })

  it('every npm script that README names is there', () => {
    const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { scripts: Record<string, string> }
    const named = [...README.matchAll(/\bnpm (?:run )?(?<name>start|test|(?<=run )[\w:]+)/gu)].map(({ groups }) => groups?.['name'] ?? '')
    expect(named).toEqual(expect.arrayContaining(['start', 'test', 'bench', 'controls']))
    expect(named.filter((name) => !(name in scripts))).toEqual([])
  })

  it('every command of `sallyport` that README and the docs name is one', () => {
    const help = execFileSync(
      process.execPath,
      ['--disable-warning=ExperimentalWarning', join(ROOT, 'packages/server/src/main.ts'), 'help'],
      {
        encoding: 'utf8',
      },
    )
    const commands = [...help.matchAll(/^ {2}(?<name>[a-z]+) /gmu)].map(({ groups }) => groups?.['name'] ?? '')
    const named = PAGES.flatMap((page) =>
      [...readFileSync(page, 'utf8').matchAll(/(?<!called )(?:`|npx |^ {4})sallyport (?<name>[a-z]+)/gmu)].map(
        ({ groups }) => groups?.['name'] ?? '',
      ),
    )
    expect(commands).toContain('serve')
    expect(named).toContain('doctor')
    expect([...new Set(named)].filter((name) => !commands.includes(name))).toEqual([])
  })
})
