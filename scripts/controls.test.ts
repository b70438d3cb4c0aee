import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { EXPECTED_IDS, judge, parseRegistry, readReport, registryFaults } from './controls.ts'
import type { Control } from './controls.ts'

const report = readReport(
  JSON.stringify({
    testResults: [
      {
        assertionResults: [
          { ancestorTitles: ['suite'], title: 'holds', status: 'passed' },
          { ancestorTitles: ['suite'], title: 'holds here', status: 'passed' },
          { ancestorTitles: ['suite'], title: 'breaks', status: 'failed' },
          { ancestorTitles: ['suite'], title: 'waits', status: 'pending' },
        ],
      },
      { assertionResults: [{ ancestorTitles: ['suite'], title: 'holds here', status: 'failed' }] },
    ],
  }),
)
const control = (...claims: Control['claims']): Control => ({ id: 'S1', statement: 'a statement', enforced: [], claims })
const nothing = (): boolean => false

describe('the registry of controls', () => {
  it('N2 holds all 137 and 17 controls of the mission, each once, and marks none by hand', () => {
    const controls = parseRegistry(readFileSync(join(import.meta.dirname, '../threat-model/controls.yaml'), 'utf8'))
    expect(controls.map((c) => c.id)).toEqual(EXPECTED_IDS)
  })

  it('N2 computes the state from evidence that exists', () => {
    const proven = { claim: 'what holds', tests: ['suite > holds'] }
    const open = { claim: 'what is open', missing: 'nothing shows it' }
    expect(judge(control(proven), report, nothing).state).toBe('proven')
    expect(judge(control(proven, open), report, nothing).state).toBe('partial')
    expect(judge(control(open), report, nothing).state).toBe('unproven')
    expect(judge(control({ claim: 'a document', documents: ['a.md'] }), report, nothing).state).toBe('unproven')
    expect(judge(control({ claim: 'a document', documents: ['a.md'] }), report, () => true).state).toBe('proven')
  })

  it.each([
    ['does not exist', 'suite > never written', 'no such test ran'],
    ['failed', 'suite > breaks', 'did not pass'],
    ['was skipped', 'suite > waits', 'did not pass'],
    ['failed in one of the places it ran', 'suite > holds here', 'did not pass'],
    ['begins with what nothing begins with', 'other > *', 'no such test ran'],
    ['begins like one that failed', 'suite > *', 'did not pass'],
  ])('N2 faults a record naming a test that %s', (_what, name, fault) => {
    expect(registryFaults([control({ claim: 'what is claimed', tests: [name] })], report, nothing)[0]).toContain(fault)
  })

  it('N2 faults a record enforced in a file that is not there, and none that says openly what is missing', () => {
    const gone = { ...control({ claim: 'what is open', missing: 'nothing shows it' }), enforced: ['packages/gone.ts'] }
    expect(registryFaults([gone], report, nothing)).toEqual(['S1: enforced in packages/gone.ts, which is not there'])
    expect(registryFaults([gone], report, () => true)).toEqual([])
  })

  it('N2 refuses a state written by hand, an unknown id, a repeated one and a claim without evidence or reason', () => {
    expect(() => parseRegistry('controls: [{id: S1, statement: abc, enforced: [], state: proven, claims: []}]')).toThrow()
    expect(() => parseRegistry('controls: [{id: S999, statement: abc, enforced: [], claims: [{claim: a claim of it}]}]')).toThrow(
      /S999 is no control/u,
    )
    expect(() => parseRegistry('controls: []')).toThrow(/S1 must stand exactly once/u)
  })
})
