import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ManualClock } from '../kernel/index.ts'
import { MetricsRegistry } from '../observability/index.ts'
import { deprecationOf, Deprecations } from './deprecation.ts'
import type { DeprecationNotice } from './deprecation.ts'
import { PIPELINE_METRICS } from './metrics.ts'

const DAY = 24 * 3_600_000
const SUNSET = 'Sun, 11 Nov 2029 23:59:59 GMT'
const of = (headers: Record<string, string>) => deprecationOf(new Headers(headers))

describe('a notice of the end of something', () => {
  it('S53 is read in the form of the standard and of its drafts', () => {
    expect(of({ deprecation: '@1688169599', sunset: SUNSET })).toEqual({
      deprecatedAt: 1_688_169_599_000,
      sunsetAt: Date.UTC(2029, 10, 11, 23, 59, 59),
      documentation: null,
    })
    expect(of({ deprecation: 'true' })).toEqual({ deprecatedAt: null, sunsetAt: null, documentation: null })
    expect(of({ deprecation: SUNSET })).toMatchObject({ deprecatedAt: Date.UTC(2029, 10, 11, 23, 59, 59) })
    expect(of({ sunset: SUNSET })).toMatchObject({ deprecatedAt: null })
  })

  it('S53 has the address where more is said of it, if it is one that can be shown', () => {
    const link = '<https://a.example/next>; rel="next", <https://docs.example/v1,gone>; rel="help deprecation"; type="text/html"'
    expect(of({ deprecation: 'true', link })!.documentation).toBe('https://docs.example/v1,gone')
    expect(of({ sunset: SUNSET, link: '<https://docs.example/>; rel=sunset' })!.documentation).toBe('https://docs.example/')
    for (const target of ['javascript:alert(1)', 'http://docs.example/', '/docs', `https://docs.example/${'x'.repeat(3_000)}`])
      expect(of({ deprecation: 'true', link: `<${target}>; rel="deprecation"` })!.documentation).toBeNull()
  })

  it.each(['', '@', '@1.5', '@99999999999999999', 'false', '1688169599', 'yes', 'next year'])('is none that says %j', (deprecation) => {
    expect(of({ deprecation, sunset: deprecation })).toBeUndefined()
  })

  it('is whatever is said read without harm, and in a moment', () => {
    const text = fc.string({
      maxLength: 300,
      unit: fc.constantFrom('<', '>', ';', 'rel=', '"', ' ', ',', 'sunset', '@', '1', 'https://a.example'),
    })
    fc.assert(
      fc.property(text, text, (link, said) => {
        const found = deprecationOf({ get: (name) => (name === 'link' ? link : said) })
        expect(found === undefined || found.documentation === null || found.documentation.startsWith('https://')).toBe(true)
      }),
    )
  })
})

describe('notices of providers', () => {
  it('S53 are told once a day, counted each time, and the earliest end is measured', () => {
    const clock = new ManualClock()
    const told: DeprecationNotice[] = []
    const metrics = new MetricsRegistry(PIPELINE_METRICS)
    const deprecations = new Deprecations({ onNotice: (notice) => told.push(notice), clock, metrics })
    const place = { provider: 'p', host: 'api.example' }
    const said = new Headers({ sunset: SUNSET })
    for (let i = 0; i < 3; i++) deprecations.note(place, said)
    deprecations.note(place, new Headers({ 'content-type': 'text/plain' }))
    expect(told).toEqual([{ ...place, deprecatedAt: null, sunsetAt: Date.parse(SUNSET), documentation: null }])
    deprecations.note(place, new Headers({ deprecation: '@1', sunset: 'Mon, 12 Nov 2029 23:59:59 GMT' }))
    expect(told).toHaveLength(2)
    expect(metrics.render()).toContain('http_deprecated_answers_total{provider="p"} 4')
    expect(metrics.render()).toContain(`provider_sunset_timestamp_seconds{provider="p"} ${Date.parse(SUNSET) / 1000}`)
    clock.advance(DAY)
    deprecations.note(place, said)
    expect(told).toHaveLength(3)
  })

  it('S53 are told once a day where a provider counts the time to its end from each answer', () => {
    let told = 0
    const deprecations = new Deprecations({ onNotice: () => told++, clock: new ManualClock() })
    const from = Date.UTC(2029, 10, 11, 8)
    for (let second = 0; second < 3_600; second++) {
      const sunset = new Date(from + second * 1_000).toUTCString()
      deprecations.note({ provider: 'p', host: 'h' }, new Headers({ deprecation: `@${from / 1_000 + second}`, sunset }))
    }
    expect(told).toBe(1)
  })

  it('are remembered up to a bound, however many a provider makes up', () => {
    let told = 0
    const deprecations = new Deprecations({ onNotice: () => told++, clock: new ManualClock() })
    for (let i = 0; i < 1_500; i++) deprecations.note({ provider: 'p', host: 'h' }, new Headers({ deprecation: `@${i * 86_400}` }))
    deprecations.note({ provider: 'p', host: 'h' }, new Headers({ deprecation: `@${1_499 * 86_400}` }))
    expect(told).toBe(1_500)
    deprecations.note({ provider: 'p', host: 'h' }, new Headers({ deprecation: '@0' }))
    expect(told).toBe(1_501)
  })
})
