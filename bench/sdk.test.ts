import { describe, expect, it } from 'vitest'
import { tableOfSdk } from './sdk.ts'
import type { WayFigures } from './sdk.ts'

describe('the figures of the SDK', () => {
  it('stand beside those of plain undici, round by round', () => {
    const of = (figure: number): WayFigures => ({ cpuUs: [figure, figure * 2], bytes: [figure, figure], p50Us: [1, 1], p99Us: [1, 1] })
    const [, head, undici, request] = tableOfSdk({ undici: of(100), request: of(150), confirmed: of(200), kept: of(10) }).split('\n')
    expect(head).toMatch(/^way +CPU us +bytes/u)
    expect(undici).toMatch(/^undici +150 \(1\.00 /u)
    expect(request).toMatch(/^request +225 \(1\.50 \[1\.50-1\.50\]\) +150 \(1\.50 /u)
  })
})
