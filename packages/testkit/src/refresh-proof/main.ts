/**
 * `npm run prove:refresh`: shows refresh tokens to a hostile issuer from several processes while faults are injected, and judges what became of
 * the grants. Prints figures; exit code 1 when a promise is broken, with the history that shows it in reports/refresh-proof.
 *
 *   --faults N          faults to inject per profile, default 300
 *   --nodes N           processes, default 3
 *   --store S           postgres (default), redis, or gateway: whole gateways on Postgres and Redis; started here and thrown away
 *   --profile P         none, grace, strict or all (default)
 *   --kills N           kills at each of the protocol's points and profile, default 3; not of gateways
 *   --storms N          storms of 1,000 callers over 4 processes, default 5; not of gateways
 *   --gets N            gets under strict rotation with holders paused beyond their lease, default 0; not of gateways
 *   --pause-ms N        longest pause of a process, default 3000; of gateways 14000 always
 *   --issuer-ms N       longest time the issuer takes before and after it spends a token, each, default 60
 *   --seed S            any text; without one a seed is drawn and printed
 *
 * Ctrl-C ends the injection; what was injected until then is judged.
 */
import { randomBytes } from 'node:crypto'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, loadavg } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { startTestPostgres } from '../servers/postgres.ts'
import { runCrashes } from './crash-points.ts'
import type { Field } from './crew.ts'
import { GATEWAY_GRACE_S, openGatewayField } from './gateway-field.ts'
import { runGets } from './gets.ts'
import type { StoreServer } from './ground.ts'
import type { History, IssuerProfile, ProfileKind } from './history.ts'
import { REQUEST_LIFETIME_MS, runProof } from './proof.ts'
import { profileText, reportCrashes, reportProof, reportStorm } from './report.ts'
import type { Report } from './report.ts'
import { runStorm } from './storm.ts'
import { openWorkerField } from './worker-crew.ts'

const REPORTS = join(import.meta.dirname, '../../../../reports/refresh-proof')
const STORM = { callers: 1_000, processes: 4, latencyMs: 500 }
const GRACE_S = 30
const ORGANIZATIONS = 3
const KINDS = ['none', 'grace', 'strict'] as const

interface Options {
  readonly store: 'postgres' | 'redis' | 'gateway'
  readonly profiles: readonly IssuerProfile[]
  readonly faults: number
  readonly nodes: number
  readonly kills: number
  readonly storms: number
  readonly gets: number
  readonly pauseMs: number
  readonly issuerMs: number
  readonly seed: string
}

function optionsOf(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      faults: { type: 'string', default: '300' },
      nodes: { type: 'string', default: '3' },
      store: { type: 'string', default: 'postgres' },
      profile: { type: 'string', default: 'all' },
      kills: { type: 'string', default: '3' },
      storms: { type: 'string', default: '5' },
      gets: { type: 'string', default: '0' },
      'pause-ms': { type: 'string', default: '3000' },
      'issuer-ms': { type: 'string', default: '60' },
      seed: { type: 'string', default: randomBytes(4).toString('hex') },
    },
  })
  const store = oneOf(values.store, ['postgres', 'redis', 'gateway'])
  const kinds = values.profile === 'all' ? KINDS : [oneOf(values.profile, KINDS)]
  return {
    store,
    profiles: kinds.flatMap((kind) => profilesOf(kind, store === 'gateway' ? GATEWAY_GRACE_S : GRACE_S)),
    faults: wholeNumber(values.faults),
    nodes: wholeNumber(values.nodes),
    kills: store === 'gateway' ? 0 : wholeNumber(values.kills),
    storms: store === 'gateway' ? 0 : wholeNumber(values.storms),
    gets: store === 'gateway' ? 0 : wholeNumber(values.gets),
    pauseMs: wholeNumber(values['pause-ms']),
    issuerMs: wholeNumber(values['issuer-ms']),
    seed: values.seed,
  }
}

function profilesOf(kind: ProfileKind, seconds: number): readonly IssuerProfile[] {
  if (kind !== 'grace') return [{ kind }]
  return [
    { kind, seconds, again: 'same' },
    { kind, seconds, again: 'another' },
  ]
}

async function main(): Promise<number> {
  const options = optionsOf(process.argv.slice(2))
  const { seed, store, nodes } = options
  console.log(`refresh proof: ${store}, ${nodes} nodes, ${cpus().length} cores at a load of ${loadText()}, seed ${seed}`)
  rmSync(REPORTS, { recursive: true, force: true })
  const asked = new AbortController()
  process.once('SIGINT', () => asked.abort())
  const broken: string[] = []
  const tell = (name: string, { lines, broken: faulty, late }: Report, history?: History): void => {
    console.log(lines.join('\n'))
    broken.push(...faulty, ...late)
    if (faulty.length === 0 || history === undefined) return
    mkdirSync(REPORTS, { recursive: true })
    writeFileSync(join(REPORTS, `${name}.json`), JSON.stringify({ broken: faulty, history }, null, 1))
  }
  const server = store === 'redis' ? undefined : await startTestPostgres({ major: 18 })
  try {
    const on: StoreServer = server === undefined ? { kind: 'redis' } : { kind: 'postgres', url: server.url }
    for (const [at, profile] of options.profiles.entries()) {
      if (asked.signal.aborted) break
      await proveProfile(options, on, profile, `${seed}/${at}`, { tell, name: `${at}-${profile.kind}`, signal: asked.signal })
    }
    if (options.storms > 0)
      tell('storm', reportStorm(await runStorm({ store: on, ...STORM, rounds: options.storms, seed }), STORM.latencyMs))
    if (options.gets > 0) {
      const result = await runGets({
        store: on,
        nodes,
        gets: options.gets,
        seed,
        onProgress: meter('gets', options.gets),
        signal: asked.signal,
      })
      tell('gets', reportProof(result), result.history)
    }
  } finally {
    await server?.stop()
  }
  console.log(
    broken.length === 0
      ? `Every promise held. Load at the end ${loadText()}.`
      : `\nBroken promises:\n${broken.map((line) => `- ${line}`).join('\n')}\nHistories: ${REPORTS}`,
  )
  return broken.length === 0 ? 0 : 1
}

interface Telling {
  readonly tell: (name: string, report: Report, history?: History) => void
  readonly name: string
  readonly signal: AbortSignal
}

async function proveProfile(options: Options, on: StoreServer, profile: IssuerProfile, seed: string, telling: Telling): Promise<void> {
  const { faults, kills, issuerMs } = options
  const { tell, name, signal } = telling
  if (faults > 0) {
    const field = await openField(options, on, profile, seed)
    try {
      const result = await runProof(field, {
        profile,
        until: { faults },
        callers: 12,
        issuer: { latencyMs: { before: [1, issuerMs], after: [1, issuerMs] } },
        seed,
        onProgress: meter(`${profileText(profile)}: faults`, faults),
        signal,
      })
      tell(`faults-${name}`, reportProof(result), result.history)
    } finally {
      await field.close()
    }
  }
  if (kills > 0 && !signal.aborted) {
    const onProgress = meter(`${profileText(profile)}: kills`, kills * 12)
    const result = await runCrashes({ store: on, profile, kills, seed, onProgress })
    tell(`kills-${name}`, reportCrashes(result, REQUEST_LIFETIME_MS), result.history)
  }
}

function openField({ store, nodes, pauseMs }: Options, on: StoreServer, profile: IssuerProfile, seed: string): Promise<Field> {
  const credentials = 60 * nodes
  return store === 'gateway' && on.kind === 'postgres'
    ? openGatewayField({ postgresUrl: on.url, profile, nodes, credentials, organizations: ORGANIZATIONS, seed })
    : openWorkerField({ store: on, profile, nodes, credentials, seed, longestPauseMs: pauseMs })
}

function loadText(): string {
  return loadavg()[0]!.toFixed(1)
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
