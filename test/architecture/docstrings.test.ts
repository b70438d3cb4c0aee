import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { ENTRY_POINTS, Exports, undocumented } from './docstrings.ts'

const root = join(import.meta.dirname, '../..')

describe('docstrings', () => {
  it.each(ENTRY_POINTS)('stand at every name that %s hands out', (entry) => {
    expect(new Exports().of(join(root, entry)).length).toBeGreaterThan(10)
    expect(undocumented(root, entry)).toEqual([])
  })

  it('are missed where there are none, also through files that hand a name on', () => {
    const files: Readonly<Record<string, string>> = {
      '/p/index.ts':
        "export * from './a.ts'\nexport { later as sooner } from './b.ts'\nexport { z } from 'zod'\nexport { gone } from './a.ts'\n",
      '/p/a.ts': [
        '/** Says what it is. */\nexport const said = 1',
        '// Says it the wrong way.\nexport const told = 1',
        '/* So does this. */\nexport function shown(): void {}',
        '/** Of another. */\nconst own = 1\nexport { own }',
        'export interface Bare { readonly a: 1 }',
        '/** */\nexport type Empty = 1',
        '/** Too far away. */\nconst between = 1\nexport class Far { a = between }',
      ].join('\n'),
      '/p/b.ts': 'export const later = 1\n',
    }
    const exports = new Exports((file) => files[file]!)
    expect(undocumented('/p', 'index.ts', exports)).toEqual([
      'a.ts: Bare',
      'a.ts: Empty',
      'a.ts: Far',
      'a.ts: gone',
      'a.ts: shown',
      'a.ts: told',
      'b.ts: sooner',
    ])
  })
})
