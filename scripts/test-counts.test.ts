import { describe, expect, it } from 'vitest'
import { count, type VitestReport } from './test-counts.ts'

const report = (changes: Partial<VitestReport>): VitestReport => ({
  numPassedTests: 3,
  numFailedTests: 0,
  numPendingTests: 0,
  numTodoTests: 0,
  testResults: [{ status: 'passed', assertionResults: [{ status: 'passed' }] }],
  ...changes,
})

describe('the count of a test run', () => {
  it('is what the report says when all went well', () => {
    expect(count(report({}), 0)).toEqual({ passed: 3, failed: 0, skipped: 0 })
  })

  it('adds a failure for each file that could not be loaded', () => {
    const testResults = [
      { status: 'failed', assertionResults: [] },
      { status: 'failed', assertionResults: [{ status: 'failed' }] },
    ]
    expect(count(report({ numFailedTests: 1, testResults }), 1).failed).toBe(2)
  })

  it('has a failure when the run failed although no test did', () => {
    expect(count(report({}), 1).failed).toBe(1)
  })

  it('has a failure when the run left no report, whatever it said', () => {
    expect(count(undefined, 0)).toEqual({ passed: 0, failed: 1, skipped: 0 })
  })

  it('names what was skipped', () => {
    expect(count(report({ numPendingTests: 2, numTodoTests: 1 }), 0).skipped).toBe(3)
  })
})
