/** Owns how the figures of a proof are said, and which of them break a promise. Refuses figures that were not measured. */
import { DEFAULT_REFRESH_LIMITS } from '@sallyport/core'
import type { CrashResult } from './crash-points.ts'
import type { IssuerProfile } from './history.ts'
import type { ProofResult } from './proof.ts'
import type { StormRound } from './storm.ts'

/** The value below which the share `q` of `sorted` lies, by nearest rank; undefined for none. */
export function quantileOf(sorted: readonly number[], q: number): number | undefined {
  return sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)]
}

const said = (ms: number | undefined): string => (ms === undefined ? 'none' : `${Math.round(ms)} ms`)

export function profileText(profile: IssuerProfile): string {
  return profile.kind === 'grace' ? `grace(${profile.seconds} s, ${profile.again})` : profile.kind
}

export interface Report {
  readonly lines: readonly string[]
  /** Sentences; empty when every promise held, those on time aside. */
  readonly broken: readonly string[]
  /** Promises on time that were not kept; on a busy machine they say more about the machine. */
  readonly late: readonly string[]
}

export function reportProof({ profile, verdict, faults, calls, undrained, crashes, history, tookMs }: ProofResult): Report {
  const injected = sum(faults)
  const { losses, breaches, probes, repeatedProbes, repeatedRefusals, inFlightAtKills, recoveriesMs } = verdict
  const count = (kind: string): number => breaches.filter((breach) => breach.kind === kind).length
  const byCause = Object.entries(Object.groupBy(losses, ({ cause }) => cause)).map(([cause, all]) => `${all.length} ${cause}`)
  const name = profileText(profile)
  const inTime = breaches.filter((breach) => breach.kind !== 'late_label')
  const killLosses = losses.filter(({ cause }) => cause === 'kill').length
  return {
    lines: [
      `${name}: ${injected} faults, ${sum(calls)} calls, ${history.showings.length} token calls, ${history.grants.length} grants, ${Math.round(tookMs / 1000)} s`,
      `  losses ${losses.length}${byCause.length === 0 ? '' : ` (${byCause.join(', ')}; ${inFlightAtKills} calls in flight at kills)`}`,
      `  double spends ${count('double_spend')}, forks ${count('fork')}, lost successors ${count('lost_successor')}`,
      `  unlabelled losses ${count('unlabelled')}, labelled late ${count('late_label')}, unsettled ${count('unsettled')}, recovery probes ${probes}, of them repeated ${repeatedProbes}; refused tokens shown again ${repeatedRefusals}`,
      `  unknown outcome to a known one: p50 ${said(quantileOf(recoveriesMs, 0.5))}, p99 ${said(quantileOf(recoveriesMs, 0.99))} of ${recoveriesMs.length}`,
      `  calls ${tally(calls)}`,
      `  faults ${tally(faults)}`,
    ],
    broken: [
      ...(history.showings.length === 0 ? [`${name}: no refresh token was shown, so nothing is proven`] : []),
      ...inTime
        .slice(0, 20)
        .map(({ kind, grant, requests, says }) => `${name}: ${kind} of ${grant} (requests ${requests.join(', ')}): ${says}`),
      ...(inTime.length > 20 ? [`${name}: and ${inTime.length - 20} more`] : []),
      ...(killLosses > inFlightAtKills ? [`${name}: ${killLosses} losses by kills, ${inFlightAtKills} calls in flight`] : []),
      ...crashes.map((node) => `${name}: node ${node} ended by itself`),
    ],
    late: [
      ...breaches.filter((breach) => breach.kind === 'late_label').map(({ grant, says }) => `${name}: ${grant} was ${says}`),
      ...(undrained > 0 ? [`${name}: ${undrained} nodes did not end in time when asked to`] : []),
    ],
  }
}

/** An interrupted refresh is resolved within this (DESIGN 1, G11); under strict rotation once its call is certainly over, and can't begin any more. */
export const RESOLVED_WITHIN_MS = 2_000

export function reportCrashes({ profile, verdict, resolvedMs, strandedAt }: CrashResult, requestLifetimeMs: number): Report {
  const name = profileText(profile)
  const all = Object.values(resolvedMs).flat()
  const sorted = all.toSorted((a, b) => a - b)
  const limit = RESOLVED_WITHIN_MS + (profile.kind === 'strict' ? requestLifetimeMs + DEFAULT_REFRESH_LIMITS.startMs : 0)
  const p99 = quantileOf(sorted, 0.99)
  const { losses, inFlightAtKills, breaches } = verdict
  return {
    lines: [
      `${name}: ${all.length} kills at ${Object.keys(resolvedMs).length} points, losses ${losses.length} (${inFlightAtKills} calls in flight)`,
      `  resolved after p50 ${said(quantileOf(sorted, 0.5))}, p99 ${said(p99)}, worst ${said(sorted.at(-1))}`,
      ...Object.entries(resolvedMs).map(([point, times]) => `    ${point}: worst ${said(Math.max(...times))}`),
    ],
    broken: [
      ...breaches.filter(({ kind }) => kind !== 'late_label').map(({ kind, grant, says }) => `${name}: ${kind} of ${grant}: ${says}`),
      ...(losses.length > inFlightAtKills ? [`${name}: ${losses.length} losses, ${inFlightAtKills} calls in flight`] : []),
      ...strandedAt.map((point) => `${name}: no tokens after a kill at ${point}`),
    ],
    late: p99 !== undefined && p99 > limit ? [`${name}: resolved after ${said(p99)} at p99, promised ${said(limit)}`] : [],
  }
}

/** The median caller waits at most so many times the provider's own latency (DESIGN 5). */
export const STORM_RATIO = 1.2

export function reportStorm(rounds: readonly StormRound[], latencyMs: number): Report {
  const medians = rounds.map(({ waitsMs }) => quantileOf(waitsMs, 0.5)! / latencyMs).toSorted((a, b) => a - b)
  const slowest = Math.max(...rounds.map(({ waitsMs }) => waitsMs.at(-1)!))
  const median = quantileOf(medians, 0.5)!
  const calls = rounds.map(({ tokenCalls }) => tokenCalls)
  const failures = rounds.flatMap((round) => round.failures)
  return {
    lines: [
      `storm: ${rounds[0]!.waitsMs.length} callers, ${rounds.length} rounds, provider ${latencyMs} ms`,
      `  token calls per round ${[...new Set(calls)].join(', ')}; median wait ${median.toFixed(2)} times the provider's (rounds ${medians[0]!.toFixed(2)} to ${medians.at(-1)!.toFixed(2)}), slowest ${said(slowest)}, failed ${failures.length}`,
    ],
    broken: [
      ...(calls.some((count) => count !== 1) ? [`storm: ${Math.max(...calls)} token calls for one expired token`] : []),
      ...(failures.length > 0 ? [`storm: ${failures.length} callers failed (${[...new Set(failures)].join(', ')})`] : []),
    ],
    late: median > STORM_RATIO ? [`storm: the median caller waits ${median.toFixed(2)} times the provider's latency`] : [],
  }
}

function sum(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((total, count) => total + count, 0)
}

function tally(counts: Readonly<Record<string, number>>): string {
  const parts = Object.entries(counts).toSorted(([, a], [, b]) => b - a)
  return parts.length === 0 ? 'none' : parts.map(([name, count]) => `${name} ${count}`).join(', ')
}
