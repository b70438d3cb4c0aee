/**
 * Owns the worker of a proof: a small program that uses the engine as an application would, over its own wires, and does what its parent asks.
 * Refuses to know what is being proven.
 */
import { setTimeout as after } from 'node:timers/promises'
import { createEgress, createLogger, createRefresher, DEFAULT_EGRESS_POLICY, FileSpill, refreshTokens, Secret } from '@sallyport/core'
import type { AuthorizationServer, Clock, RefreshEndpoint } from '@sallyport/core'
import { clientSecretOf } from './hostile-issuer.ts'
import { refOf } from './population.ts'
import { chanceFrom } from './random.ts'
import { openStore } from './stores.ts'
import type { Asked, Said, WorkerCommand, WorkerSettings } from './worker-messages.ts'

const settings = JSON.parse(process.argv[2]!) as WorkerSettings
let { clockOffsetMs } = settings
let dieAt: string | undefined
const counters: Record<string, number> = {}

/** Wall time steps with the faults; monotonic time never does. */
const clock: Clock = { now: () => Date.now() + clockOffsetMs, monotonic: () => performance.now() }
const egress = createEgress({ ...DEFAULT_EGRESS_POLICY, insecureAllowOrigins: [settings.issuerOrigin] })
const opened = openStore(settings.store, settings.encryptionKey, clock)

const server: AuthorizationServer = {
  issuer: settings.issuerOrigin,
  responseIssuer: 'checked',
  authorizationEndpoint: `${settings.issuerOrigin}/authorize`,
  tokenEndpoint: `${settings.issuerOrigin}/at/${settings.node}/token`,
  tokenAuth: 'client_secret_post',
  scopeSeparator: ' ',
  authorizationParams: {},
  tokenQuirks: [],
}
const client = { clientId: settings.client, clientSecret: new Secret(clientSecretOf(settings.client)) }
const endpoint: RefreshEndpoint = {
  provider: 'proof',
  rotation: settings.rotation,
  requestLifetimeMs: settings.requestLifetimeMs,
  refresh: (parent, call) => refreshTokens({ server, client, parent, fetch: (url, request) => egress.fetch(url, request), ...call }),
}
const refresher = createRefresher({
  store: opened.store,
  leases: opened.leases,
  spills: [new FileSpill(settings.spillFolder)],
  endpoint: async () => endpoint,
  logger: createLogger({ level: 'error', format: 'json' }),
  node: settings.node,
  clock,
  limits: { bufferMs: settings.bufferMs },
  checkpoint: (point) => {
    if (point === dieAt) process.kill(process.pid, 'SIGKILL')
  },
})

/** Counts how a call ended. The sequence number of what it gave, or the code of its failure. */
async function fresh(
  credential: string,
  force: string | null,
  patience: { patienceMs?: number } = {},
): Promise<{ seq: string; code: null } | { seq: null; code: string }> {
  try {
    const given =
      force === null ? await refresher.fresh(refOf(credential), patience) : await refresher.refreshNow(refOf(credential), patience)
    count(given.stale ? 'stale' : 'ok')
    return { seq: String(given.seq), code: null }
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unexpected'
    count(code)
    if (code === 'unexpected') process.stderr.write(`${settings.node}: ${error instanceof Error ? error.stack : String(error)}\n`)
    return { seq: null, code }
  }
}

function count(outcome: string): void {
  counters[outcome] = (counters[outcome] ?? 0) + 1
}

/** Callers that come back soon: what they began goes on without them. */
const IMPATIENT = { patienceMs: 250 }

let loading: { stop: boolean; readonly callers: Promise<void>[] } | undefined

async function load({ credentials, callers, seed, eager }: WorkerCommand & { do: 'load' }): Promise<null> {
  const chance = chanceFrom(seed)
  const run = { stop: false, callers: [] as Promise<void>[] }
  loading = run
  const call = async (): Promise<void> => {
    while (!run.stop) {
      if (eager) {
        await fresh(chance.pick(credentials), null)
        continue
      }
      // Some tokens live long, as their answers said so: a person asks for those to be renewed, now and then.
      await fresh(chance.pick(credentials), chance.next() < 0.1 ? '' : null, IMPATIENT)
      await after(chance.between(20, 150))
    }
  }
  for (let caller = 0; caller < callers; caller++) run.callers.push(call())
  return null
}

async function quiet(): Promise<null> {
  if (loading === undefined) return null
  loading.stop = true
  await Promise.all(loading.callers)
  return null
}

async function storm({ credential, callers }: WorkerCommand & { do: 'storm' }): Promise<{ waitsMs: number[]; failures: string[] }> {
  const failures: string[] = []
  const waitsMs = await Promise.all(
    Array.from({ length: callers }, async () => {
      const since = performance.now()
      const { code } = await fresh(credential, null)
      if (code !== null) failures.push(code)
      return performance.now() - since
    }),
  )
  return { waitsMs, failures }
}

async function obey(command: WorkerCommand): Promise<unknown> {
  switch (command.do) {
    case 'load':
      return await load(command)
    case 'quiet':
      return await quiet()
    case 'fresh':
      return await fresh(command.credential, command.force)
    case 'storm':
      return await storm(command)
    case 'clock':
      clockOffsetMs = command.offsetMs
      break
    case 'die':
      dieAt = command.at
      break
    case 'counters':
      return counters
  }
  return null
}

const say = (said: Said): void => void process.send?.(said)

process.on('message', ({ id, command }: Asked) => {
  obey(command).then(
    (answer) => say({ said: 'answer', id, answer }),
    (error: unknown) => say({ said: 'failed', id, why: String(error) }),
  )
})

/** As the gateway ends: what is under way is finished and saved first. */
process.once('SIGTERM', () => {
  void (async () => {
    if (loading !== undefined) loading.stop = true
    const { underWay, unsaved } = await refresher.drain(29_000)
    refresher.close()
    await Promise.all([opened.close(), egress.close()])
    process.exit(underWay + unsaved === 0 ? 0 : 1)
  })()
})
// Ctrl-C in a terminal reaches the whole group; when the proof ends is its parent's to say.
process.on('SIGINT', () => undefined)
// A parent that is gone has no more questions.
process.once('disconnect', () => process.exit(1))

refresher.start()
say({ said: 'ready' })
