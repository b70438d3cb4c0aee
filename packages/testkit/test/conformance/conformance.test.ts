/**
 * Connectors against providers that misbehave, as a user of the SDK meets them. docs/conformance.md is what came out; after a change that is meant
 * this file's tests are run with `-u`.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { BEHAVIOURS } from '../../src/conformance/behaviours.ts'
import { appliesTo, conformanceDocument, CONNECTORS_TRIED, expectedOf, tryOut } from '../../src/conformance/matrix.ts'
import { WRONG_INPUTS } from '../../src/conformance/wrong-input.ts'

const matrix = new Map<string, Map<string, string>>()

describe.each(BEHAVIOURS)('$name', (behaviour) => {
  it.each(CONNECTORS_TRIED.filter((connector) => appliesTo(behaviour, connector)))(
    'is seen as it should be through %s',
    async (connector) => {
      const seen = await tryOut(behaviour, connector)
      matrix.set(behaviour.name, (matrix.get(behaviour.name) ?? new Map<string, string>()).set(connector, seen))
      expect(seen).toBe(expectedOf(behaviour, connector))
    },
  )
})

describe('the published matrix', () => {
  it.each(WRONG_INPUTS)('names a test that is there: $what', ({ file, test }) => {
    const text = readFileSync(join(import.meta.dirname, '../../../..', file), 'utf8')
    // In quotes of either kind, at the beginning of a test.
    expect([`it('${test}'`, `it("${test}"`, `])('${test}'`].some((line) => text.includes(line))).toBe(true)
  })

  it('is what the run says', async () => {
    expect(matrix.size).toBe(BEHAVIOURS.length)
    await expect(conformanceDocument(matrix)).toMatchFileSnapshot(join(import.meta.dirname, '../../../../docs/conformance.md'))
  })
})
