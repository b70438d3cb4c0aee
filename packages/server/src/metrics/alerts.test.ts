/** docs/alerts.yaml against what is counted: an alert over a name that nothing counts never fires, and says nothing of it. */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { METRICS } from './declared.ts'

interface Rule {
  readonly alert: string
  readonly expr: string
  readonly for?: string
  readonly labels: { readonly severity: string }
  readonly annotations: { readonly summary: string; readonly action: string }
}

const text = readFileSync(new URL('../../../../docs/alerts.yaml', import.meta.url), 'utf8')
const { groups } = parse(text) as { groups: readonly { readonly name: string; readonly rules: readonly Rule[] }[] }
const rules = groups.flatMap((group) => group.rules)
const ruleOf = (name: string): Rule => rules.find(({ alert }) => alert === name)!

/** What PromQL itself brings, of what these rules use. */
const WORDS = new Set(['sum', 'by', 'increase', 'rate', 'and', 'time'])
const SELECTOR = /([a-z_]+)(?:\{([^}]*)\})?(\[\d+[smhd]\])?/gu

/** What is wrong with an expression, by what is counted: names, labels and their values, and counters that are taken for what they stand at. */
function faultsOf(expr: string): string[] {
  const grouped = [...expr.matchAll(/\bby \(([a-z_, ]+)\)/gu)].flatMap(([, names]) => names!.split(',').map((name) => name.trim()))
  const bare = expr.replaceAll(/\bby \([a-z_, ]+\)/gu, 'by')
  const found = [...bare.matchAll(SELECTOR)].filter(([, name]) => !WORDS.has(name!))
  const faults = found.flatMap(([, name, matchers = '', window]) => {
    const metric = METRICS.find((one) => one.name === name)
    if (metric === undefined) return [`nothing counts ${name}`]
    const ranged = window !== undefined
    const wrong = ranged === (metric.kind === 'counter') ? [] : [`${name} is a ${metric.kind}`]
    const matched = matchers === '' ? [] : matchers.split(',').map((one) => /^([a-z_]+)=~?"([^"]*)"$/u.exec(one) ?? ['', '', ''])
    const unknown = matched.flatMap(([, label, values]) => {
      const declared: unknown = (metric.labels as Record<string, unknown>)[label!]
      if (declared === undefined) return [`${name} has no label ${label}`]
      if (!Array.isArray(declared)) return []
      return values!.split('|').flatMap((value) => (declared.includes(value) ? [] : [`${name} has no ${label} ${value}`]))
    })
    return [...wrong, ...unknown, ...grouped.filter((label) => !(label in metric.labels)).map((label) => `${name} has no label ${label}`)]
  })
  return found.length === 0 ? ['says nothing of what is counted'] : faults
}

describe('the alert rules', () => {
  it.each(rules.map((rule) => [rule.alert, rule] as const))('%s is over what the gateway counts, and says what to do', (_name, rule) => {
    expect(faultsOf(rule.expr)).toEqual([])
    expect(rule.for ?? '1m').toMatch(/^\d+[mhd]$/u)
    expect(['warning', 'critical']).toContain(rule.labels.severity)
    expect(rule.annotations.summary).not.toBe('')
    expect(rule.annotations.action).not.toBe('')
    for (const [, label] of rule.annotations.summary.matchAll(/\$labels\.([a-z_]+)/gu)) expect(rule.expr).toContain(`by (${label})`)
  })

  it('have a name each', () => {
    expect(new Set(rules.map(({ alert }) => alert)).size).toBe(rules.length)
  })

  it('S60 tell of more than 1 % of refreshes that fail', () => {
    expect(ruleOf('SallyportRefreshFailures').expr).toMatch(
      /token_refresh_total\{outcome=~"refused\|misconfigured\|unknown"\}.*> 0\.01$/msu,
    )
  })

  it('S61 tell of more than 5 % of answers of a provider that are errors', () => {
    expect(ruleOf('SallyportProviderErrors').expr).toMatch(/http_requests_total\{source="provider",status="5xx"\}.*> 0\.05$/msu)
  })

  it('S49 tell of failures that last', () => {
    expect(ruleOf('SallyportProviderFailing')).toMatchObject({ for: '30m', labels: { severity: 'critical' } })
  })

  it('S62 tell of a circuit that is open', () => {
    expect(ruleOf('SallyportBreakerOpen').expr).toContain('circuit_breaker_state{state="open"}) > 0')
  })

  it('S63 tell of limits that are used up again and again', () => {
    expect(ruleOf('SallyportRateLimitViolations').expr).toContain('rate(sallyport_rate_limited_total[5m])')
  })

  it.each([
    ['sum by (provider) (rate(token_refreshs_total[5m])) > 1', 'nothing counts token_refreshs_total'],
    ['token_refresh_total > 1', 'token_refresh_total is a counter'],
    ['increase(token_refresh_unsaved[5m]) > 1', 'token_refresh_unsaved is a gauge'],
    ['rate(token_refresh_total{outcome="failed"}[5m]) > 1', 'token_refresh_total has no outcome failed'],
    ['rate(token_refresh_total{result="refused"}[5m]) > 1', 'token_refresh_total has no label result'],
    ['sum by (tenant) (rate(token_refresh_total[5m])) > 1', 'token_refresh_total has no label tenant'],
    ['1 > 0', 'says nothing of what is counted'],
  ])('are refused by this test when wrong: %s', (expr, fault) => {
    expect(faultsOf(expr)).toContain(fault)
  })
})
