/**
 * Owns real gateway processes for tests: spawned as an operator would, told everything by variables and a configuration file, watched
 * through their output and their parent's channel. Refuses hooks into the product.
 */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { randomBytes } from 'node:crypto'
import { createDatabase } from '../servers/database.ts'
import { freePort } from '../servers/free-port.ts'

const ROOT = join(import.meta.dirname, '../../../..')

export interface GatewaySettings {
  /** Default: a throw-away folder, removed at `stop`. */
  readonly dataDir?: string
  readonly port?: number
  /** Administrative URL of a server to run on instead of the embedded one; a database and a login are made there. */
  readonly postgresUrl?: string | undefined
  /** Or the database of another gateway, as its `database` says. */
  readonly database?: Readonly<Record<string, string>>
  /** Further SALLYPORT_* variables. */
  readonly variables?: Readonly<Record<string, string>>
  /** Content of the configuration file, as JSON (which is YAML). */
  readonly file?: object
}

export interface GatewayProcess {
  readonly url: string
  readonly port: number
  readonly dataDir: string
  readonly pid: number
  readonly ownerLink: string
  readonly starterToken: string
  /** Administrative URL of its database; undefined on the embedded one. */
  readonly databaseUrl: string | undefined
  /** The variables that name its database; for a second gateway on the same one. */
  readonly database: Readonly<Record<string, string>>
  /** Everything it printed so far, both streams. */
  output(): string
  /** SIGTERM; resolves with the exit code. */
  stop(): Promise<number | null>
  /** SIGKILL; resolves when it is gone. */
  kill(): Promise<void>
  /** Resolves with the exit code when it ends, by whatever cause. */
  readonly ended: Promise<number | null>
}

/** What a start that was refused left behind. */
export class GatewayRefused extends Error {
  readonly exitCode: number | null
  readonly output: string

  constructor(exitCode: number | null, output: string) {
    super(`the gateway ended with ${exitCode} before it listened:\n${output}`)
    this.exitCode = exitCode
    this.output = output
  }
}

interface Ready {
  readonly url: string
  readonly ownerLink: string
  readonly starterToken: string
}

/** Starts one in development mode and waits until it listens. @throws GatewayRefused */
export async function startGatewayProcess(settings: GatewaySettings = {}): Promise<GatewayProcess> {
  const own = settings.dataDir === undefined ? await mkdtemp(join(tmpdir(), 'sallyport-gateway-')) : undefined
  const dataDir = settings.dataDir ?? join(own!, 'data')
  const port = settings.port ?? (await freePort())
  const folder = own ?? (await mkdtemp(join(tmpdir(), 'sallyport-config-')))
  const configFile = join(folder, 'sallyport.yaml')
  await writeFile(configFile, JSON.stringify(settings.file ?? {}))
  const database = settings.database ?? (await databaseVariables(settings.postgresUrl))
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', join(ROOT, 'packages/server/src/main.ts'), 'serve'], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    env: {
      ...plainEnvironment(),
      ...variables(settings, { dataDir, port, configFile }),
      ...database,
    },
  })
  const output: Buffer[] = []
  child.stdout!.on('data', (chunk: Buffer) => output.push(chunk))
  child.stderr!.on('data', (chunk: Buffer) => output.push(chunk))
  const text = (): string => Buffer.concat(output).toString('utf8')
  const ended = once(child, 'close').then(async ([code]) => {
    await rm(folder, { recursive: true, force: true, maxRetries: 5 })
    return code as number | null
  })
  const ready = await Promise.race([
    once(child, 'message').then(([message]) => message as Ready),
    ended.then((code) => {
      throw new GatewayRefused(code, text())
    }),
  ])
  return {
    ...ready,
    port,
    dataDir,
    databaseUrl: database['SALLYPORT_DATABASE_MIGRATION_URL'],
    database,
    pid: child.pid!,
    output: text,
    ended,
    stop: () => end(child, 'SIGTERM', ended),
    kill: async () => void (await end(child, 'SIGKILL', ended)),
  }
}

function end(child: ChildProcess, signal: NodeJS.Signals, ended: Promise<number | null>): Promise<number | null> {
  child.kill(signal)
  return ended
}

function variables(settings: GatewaySettings, at: { dataDir: string; port: number; configFile: string }): Record<string, string> {
  return {
    SALLYPORT_MODE: 'development',
    SALLYPORT_PORT: String(at.port),
    SALLYPORT_DATA_DIR: at.dataDir,
    SALLYPORT_CONFIG: at.configFile,
    // Several run side by side; a test that looks at metrics names a port of its own.
    SALLYPORT_METRICS_PORT: '0',
    // So that whoever asks as fast as it can meets no limit; a test of limits names its own.
    SALLYPORT_RATE_PER_SECOND: '1000000',
    SALLYPORT_RATE_BURST: '1000000',
    SALLYPORT_RATE_MAX_PER_SECOND: '1000000',
    SALLYPORT_RATE_MAX_BURST: '1000000',
    ...settings.variables,
  }
}

async function databaseVariables(adminUrl: string | undefined): Promise<Record<string, string>> {
  if (adminUrl === undefined) return {}
  const migration = new URL((await createDatabase(adminUrl)).url)
  const app = new URL(migration)
  app.username = `gateway_${randomBytes(6).toString('hex')}`
  app.password = randomBytes(12).toString('hex')
  return { SALLYPORT_DATABASE_MIGRATION_URL: migration.href, SALLYPORT_DATABASE_URL: app.href }
}

/** The environment without settings of ours, so that a developer's own never reach a test. */
function plainEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('SALLYPORT_')))
}
