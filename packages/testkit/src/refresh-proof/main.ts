/**
 * `npm run prove:refresh`: shows refresh tokens to a hostile issuer from several processes while faults are injected, and judges what became of
 * the grants. Prints figures; exit code 1 when a promise is broken, with the history that shows it in reports/refresh-proof.
 *
 *   --faults N          faults to inject per profile, default 300
 *   --nodes N           worker processes, default 3
 *   --store S           postgres (default) or redis; started here and thrown away
 *   --profile P         none, grace, strict or all (default)
 *   --kills N           kills at each of the protocol's points and profile, default 3
 *   --storms N          storms of 1,000 callers over 4 processes, default 5
 *   --seed S            any text; without one a seed is drawn and printed
 *
 * Ctrl-C ends the injection; what was injected until then is judged.
 */
import { randomBytes } from 'node:crypto'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { startTestPostgres } from '../servers/postgres.ts'
import { runCrashes } from './crash-points.ts'
import type { StoreServer } from './ground.ts'
import type { History, IssuerProfile, ProfileKind } from './history.ts'
import { REQUEST_LIFETIME_MS, runProof } from './proof.ts'
import { profileText, reportCrashes, reportProof, reportStorm } from './report.ts'
import type { Report } from './report.ts'
import { runStorm } from './storm.ts'

const REPORTS = join(import.meta.dirname, '../../../../reports/refresh-proof')
const STORM = { callers: 1_000, processes: 4, latencyMs: 500 }
const GRACE_S = 30

const PROFILES: Readonly<Record<ProfileKind, readonly IssuerProfile[]>> = {
  none: [{ kind: 'none' }],
  grace: [
    { kind: 'grace', seconds: GRACE_S, again: 'same' },
    { kind: 'grace', seconds: GRACE_S, again: 'another' },
  ],
  strict: [{ kind: 'strict' }],
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      faults: { type: 'string', default: '300' },
      nodes: { type: 'string', default: '3' },
      store: { type: 'string', default: 'postgres' },
      profile: { type: 'string', default: 'all' },
      kills: { type: 'string', default: '3' },
      storms: { type: 'string', default: '5' },
      seed: { type: 'string', default: randomBytes(4).toString('hex') },
    },
  })
  const profiles = values.profile === 'all' ? Object.values(PROFILES).flat() : PROFILES[oneOf(values.profile, ['none', 'grace', 'strict'])]
  const [faults, nodes, kills, storms] = [values.faults, values.nodes, values.kills, values.storms].map(wholeNumber) as [
    number,
    number,
    number,
    number,
  ]
  const { store, stop } = await startStore(oneOf(values.store, ['postgres', 'redis']))
  const { seed } = values
  console.log(`refresh proof: ${store.kind}, ${nodes} nodes, ${cpus().length} cores, seed ${seed}`)
  rmSync(REPORTS, { recursive: true, force: true })
  const broken: string[] = []
  const tell = (name: string, { lines, broken: faulty, late }: Report, history?: History): void => {
    console.log(lines.join('\n'))
    broken.push(...faulty, ...late)
    if (faulty.length === 0 || history === undefined) return
    mkdirSync(REPORTS, { recursive: true })
    writeFileSync(join(REPORTS, `${name}.json`), JSON.stringify({ broken: faulty, history }, null, 1))
  }
  const asked = new AbortController()
  process.once('SIGINT', () => asked.abort())
  const { signal } = asked
  try {
    for (const [at, profile] of profiles.entries()) {
      if (signal.aborted) break
      if (faults > 0) {
        const credentials = 60 * nodes
        const onProgress = meter(`${profileText(profile)}: faults`, faults)
        const result = await runProof({
          store,
          profile,
          faults,
          nodes,
          credentials,
          callers: 12,
          seed: `${seed}/${at}`,
          onProgress,
          signal,
        })
        tell(`faults-${at}-${profile.kind}`, reportProof(result), result.history)
      }
      if (kills > 0) {
        const result = await runCrashes({
          store,
          profile,
          kills,
          seed: `${seed}/${at}`,
          onProgress: meter(`${profileText(profile)}: kills`, kills * 12),
        })
        tell(`kills-${at}-${profile.kind}`, reportCrashes(result, REQUEST_LIFETIME_MS), result.history)
      }
    }
    if (storms > 0) tell('storm', reportStorm(await runStorm({ store, ...STORM, rounds: storms, seed }), STORM.latencyMs))
  } finally {
    await stop()
  }
  console.log(
    broken.length === 0
      ? 'Every promise held.'
      : `\nBroken promises:\n${broken.map((line) => `- ${line}`).join('\n')}\nHistories: ${REPORTS}`,
  )
  return broken.length === 0 ? 0 : 1
}

async function startStore(kind: StoreServer['kind']): Promise<{ store: StoreServer; stop: () => Promise<void> }> {
  if (kind === 'redis') return { store: { kind }, stop: async () => undefined }
  const server = await startTestPostgres({ major: 18 })
  return { store: { kind, url: server.url }, stop: () => server.stop() }
}

/** Says where a long run is, each tenth of the way. */
function meter(what: string, whole: number): (done: number) => void {
  let tenths = 0
  return (done) => {
    const reached = Math.min(10, Math.floor((10 * done) / whole))
    if (reached > tenths && whole >= 100) console.log(`> ${what} ${done} of ${whole}`)
    tenths = Math.max(tenths, reached)
  }
}

function wholeNumber(text: string): number {
  if (!/^\d{1,7}$/u.test(text)) throw new Error(`"${text}" is not a whole number`)
  return Number(text)
}

function oneOf<const T extends string>(text: string, choices: readonly T[]): T {
  const found = choices.find((choice) => choice === text)
  if (found === undefined) throw new Error(`"${text}" is none of ${choices.join(', ')}`)
  return found
}

process.exitCode = await main()
