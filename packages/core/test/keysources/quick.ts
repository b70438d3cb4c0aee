import type { PatienceLimits } from '../../src/keysources/index.ts'

/** Patience for tests: everything it does, in a fraction of the time. */
export const QUICK: PatienceLimits = { deadlineMs: 800, firstPauseMs: 5, longestPauseMs: 20, firstRestMs: 300, longestRestMs: 400 }
