/** docs/battery.md against the tests: a case that nothing bears the id of is no case. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'

const root = join(import.meta.dirname, '..')
const ID = /\b[A-Z]-\d{2}\b/gu

function testFiles(folder: string): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    if (entry.name === 'node_modules' || entry.name === 'dist') return []
    const path = join(folder, entry.name)
    if (entry.isDirectory()) return testFiles(path)
    // Suites of ports stand beside what runs them.
    return /\.test\.tsx?$/u.test(entry.name) || path.includes('suites') ? [path] : []
  })
}

/** Ids in the texts of a file: names of tests are among them, comments are not. */
function idsNamed(text: string): string[] {
  const code = text.replaceAll(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gmu, '')
  return [...code.matchAll(/(['"`])[^'"`\n]*\b[A-Z]-\d{2}\b/gu)].flatMap(([named]) => named.match(ID) ?? [])
}

/** Of the page: ids of each row's cells, and whether the row is for later. */
const rows = readFileSync(join(root, 'docs/battery.md'), 'utf8')
  .split('\n')
  .filter((line) => line.startsWith('| '))
  .map((line) => ({ ids: line.match(ID) ?? [], later: line.includes('| later: ') }))
  .filter(({ ids }) => ids.length > 0)

const named = new Set([...testFiles('packages'), ...testFiles('test')].flatMap((file) => idsNamed(readFileSync(join(root, file), 'utf8'))))

describe('the page of cases', () => {
  it('names none that no test bears, but those for later, and of those none that a test does', () => {
    expect(rows.length).toBeGreaterThan(50)
    const wrong = rows.flatMap(({ ids, later }) => ids.filter((id) => named.has(id) === later))
    expect(wrong).toEqual([])
  })

  it('takes an id in the name of a test, and none of a comment', () => {
    expect(idsNamed("it('K-06 J-08 is so', () => {})\n// Q-01\n/* Q-02 */\nit(`Q-03 too`)")).toEqual(['K-06', 'J-08', 'Q-03'])
    expect(idsNamed('  // K-10: parsing comes first')).toEqual([])
  })
})
