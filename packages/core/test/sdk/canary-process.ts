/**
 * A program on the SDK that does all that can be done with a connection, failures included, with a log function and listeners that change what
 * they get, and writes down everything that it could see: one file a sink in the folder of its first argument. It keeps no secret itself.
 */
import { readFileSync, unlinkSync, writeFileSync } from 'node:fs'
import { get } from 'node:http'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { writeHeapSnapshot } from 'node:v8'
import { context, trace } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base'
import { Sallyport } from '../../src/index.ts'
import type { SallyportConfig, SallyportEvent } from '../../src/index.ts'

const [, , folder = '', ending = 'quiet'] = process.argv
const EVENTS: SallyportEvent[] = ['connected', 'refreshed', 'refresh_failed', 'reconnect_required', 'recovered', 'revoked', 'disconnected']
const of = { provider: 'strict', userId: 'ada' }
const exporter = new InMemorySpanExporter()
context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }))

const lines: string[] = []
const events: string[] = []
/** Every failure as any reporter might print it. */
const failures: string[] = []
let worst: unknown

function shown(error: unknown): string {
  const causes: string[] = []
  for (let at: unknown = error; at instanceof Error && causes.length < 8; at = at.cause) causes.push(`${at.name} ${at.message} ${at.stack}`)
  const own = Object.getOwnPropertyNames(error as object).map((name) => String((error as Record<string, unknown>)[name]))
  return [...causes, ...own, JSON.stringify(error), inspect(error, { depth: Infinity, showHidden: true })].join('\n')
}

async function failing(work: () => Promise<unknown>): Promise<void> {
  try {
    const given = await work()
    failures.push(inspect(given, { depth: Infinity, showHidden: true }))
  } catch (error) {
    worst = error
    failures.push(shown(error))
  }
}

/** Read once and deleted: neither the command line nor the environment has it. */
async function begin(): Promise<Sallyport> {
  const file = join(folder, 'config.json')
  const config = JSON.parse(readFileSync(file, 'utf8')) as SallyportConfig
  unlinkSync(file)
  let count = 0
  const write = (line: string): void => {
    lines.push(line)
    count += 1
    if (count % 3 === 0) throw new Error(`a log function that fails: ${line}`)
  }
  const sallyport = await Sallyport.init({ ...config, logging: { level: 'debug', write } })
  for (const name of EVENTS) {
    sallyport.on(name, (event) => {
      events.push(`${name} ${JSON.stringify(event)} ${inspect(event, { depth: Infinity, showHidden: true })}`)
      spoil(event)
      throw new Error('a listener that fails')
    })
  }
  return sallyport
}

/** Whatever can be changed of what a listener got, is. */
function spoil(value: unknown): void {
  if (typeof value !== 'object' || value === null) return
  if (Array.isArray(value)) Reflect.apply(Array.prototype.push, value, ['spoiled'])
  for (const name of Object.keys(value)) {
    spoil((value as Record<string, unknown>)[name])
    Reflect.set(value, name, 'spoiled')
  }
}

/** As a browser would: the server sends it back at once. */
async function signIn(sallyport: Sallyport, spoilt = false): Promise<void> {
  const { url } = await sallyport.connect(of)
  const location = await new Promise<string>((resolve, reject) => {
    get(url, { agent: false }, (answer) => {
      answer.resume()
      resolve(answer.headers.location ?? '')
    }).on('error', reject)
  })
  const back = new URL(location)
  if (spoilt) back.searchParams.append('code', 'another-code')
  const connected = await sallyport.handleCallback(back, { userId: of.userId })
  events.push(inspect(connected, { depth: Infinity, showHidden: true }))
}

async function call(sallyport: Sallyport, path: string): Promise<unknown> {
  const answer = await sallyport.request({ ...of, path })
  failures.push(inspect(answer, { depth: Infinity, showHidden: true }), JSON.stringify(answer))
  return answer.json()
}

async function everything(): Promise<void> {
  const sallyport = await begin()
  for (const how of ['token-500', 'token-html', 'token-cut', 'token-reset', 'userinfo-401', 'userinfo-reset'])
    await failing(async () => {
      await tell(how)
      await signIn(sallyport)
    })
  await tell('lawful')
  await failing(() => signIn(sallyport, true))
  await failing(() => sallyport.handleCallback('?state=no-state&code=no-code', { userId: of.userId }))
  await signIn(sallyport)
  const { scopes } = (await sallyport.getConnectionHealth(of))!
  if (JSON.stringify(scopes).includes('spoiled')) failures.push('A LISTENER HAS CHANGED WHAT IS KEPT')
  for (const how of ['echo', 'error', 'refused', 'garbage', 'cut', 'reset', 'hang']) await failing(() => call(sallyport, `/${how}`))
  for (const how of ['token-500', 'token-html', 'token-cut', 'token-reset', 'token-429'])
    await failing(async () => {
      await tell(how)
      await sallyport.refresh(of)
    })
  await tell('lawful')
  await failing(() => sallyport.refresh(of))
  await tell('token-refused')
  await failing(() => sallyport.refresh(of))
  await failing(() => call(sallyport, '/echo'))
  await tell('lawful')
  await signIn(sallyport)
  await failing(() => sallyport.refresh(of))
  note('metrics', sallyport.metricsText())
  note('health', JSON.stringify([await sallyport.getHealth(), sallyport]) + inspect(sallyport, { depth: Infinity, showHidden: true }))
  await tell('revocation-503')
  await failing(() => sallyport.disconnect(of))
  await tell('lawful')
  await failing(() => sallyport.disconnect(of))
  await sallyport.close()
}

/** Changes the provider's ways from here. */
async function tell(how: string): Promise<void> {
  const { port } = JSON.parse(readFileSync(join(folder, 'control.json'), 'utf8')) as { port: number }
  await new Promise<void>((resolve, reject) => {
    get({ port, path: `/${how}`, agent: false }, (answer) => void answer.resume().on('end', resolve)).on('error', reject)
  })
}

function note(sink: string, text: string): void {
  writeFileSync(join(folder, `${sink}.txt`), text)
}

await everything()
note('log', lines.join('\n'))
note('events', events.join('\n'))
note('failures', failures.join('\n'))
const spans = exporter.getFinishedSpans().map((span) => [span.name, span.attributes, span.status, span.events, span.links])
note('spans', JSON.stringify(spans))
note('report', JSON.stringify(process.report.getReport(worst as Error)))
if (ending === 'crash') throw worst
exporter.reset()
worst = undefined
for (const told of [lines, events, failures]) told.length = 0
/** What is held is in the snapshot, whenever it was made. */
export const held = ['held', 'on', 'purpose', String(process.uptime() > 0)].join(' ')
// A last match keeps its subject alive.
;/x/u.exec('x')
writeHeapSnapshot(join(folder, 'heap.heapsnapshot'))
