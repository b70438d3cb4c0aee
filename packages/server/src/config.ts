/**
 * Owns the configuration: read once from `sallyport.yaml` and `SALLYPORT_*` variables, judged whole, frozen, passed down. The only place that
 * reads the environment. Refuses to start on any fault, and reports all of them together; a malformed setting never becomes a default.
 */
import { readFileSync } from 'node:fs'
import { ConfigError } from './config/config-error.ts'
import type { ConfigFault } from './config/config-error.ts'
import { judge, STORES } from './config/judge.ts'
import type { Judged } from './config/judge.ts'
import { readLayers } from './config/layers.ts'
import type { Environment, Layers, Raw, ReadFile } from './config/layers.ts'
import { modelEgress } from './config/models.ts'
import type { ModelEgress } from './config/models.ts'
import { describeValue } from './config/reference.ts'
import { LEAVES } from './config/schema.ts'
import type { Leaf, ParsedConfig } from './config/schema.ts'
import { settingFacts } from './config/setting.ts'

export { ConfigError } from './config/config-error.ts'
export type { ConfigFault } from './config/config-error.ts'
export { configJsonSchema, configReference } from './config/reference.ts'
export { plaintextHost } from './config/secret-fault.ts'
export { STORES }

type DeepReadonly<T> = T extends readonly (infer Item)[]
  ? readonly DeepReadonly<Item>[]
  : T extends Record<string, unknown>
    ? { readonly [Name in keyof T]: DeepReadonly<T[Name]> }
    : T

/** The effective configuration: deeply frozen, every default decided. Secrets are `Secret`. */
export type Config = DeepReadonly<Omit<ParsedConfig, 'host' | 'publicUrl' | 'linkAssurance' | 'logFormat' | 'drainNoticeMs' | 'models'>> & {
  readonly models: DeepReadonly<Omit<ParsedConfig['models'], keyof ModelEgress>> & ModelEgress
  readonly host: string
  /** An origin: no path, no slash at the end. */
  readonly publicUrl: string
  readonly linkAssurance: 'aal1' | 'aal2'
  readonly logFormat: 'json' | 'text'
  readonly drainNoticeMs: number
}

export interface ConfigSources {
  /** Default: the process's environment. */
  readonly env?: Environment
  /** Words of the command line, of which only `--config <file>` is read. It wins over `SALLYPORT_CONFIG`. */
  readonly argv?: readonly string[]
  /** Default: `readFileSync`. */
  readonly readFile?: ReadFile
}

/** Where each setting of a configuration was written. Beside it and not in it: code that decides must not see it. */
const origins = new WeakMap<Config, ReadonlyMap<string, Raw>>()

/** The configuration. @throws ConfigError with every fault. */
export function loadConfig(sources: ConfigSources = {}): Config {
  const { env = process.env, argv = [], readFile = (path) => readFileSync(path, 'utf8') } = sources
  const layers = readLayers({ env, file: configFile(argv, env), readFile })
  const { judged, faults, refused } = parseLeaves(layers)
  const all = [...layers.faults, ...faults, ...judge(judged, refused).map((fault) => placed(fault, layers))]
  if (all.length > 0) throw new ConfigError(all)
  const config = deepFreeze(withModeDefaults(judged as ParsedConfig))
  origins.set(config, layers.values)
  return config
}

/** How Redis is reached; undefined where there is none. */
export function redisAddress({ redisUrl, insecureAllowPlaintextStores }: Pick<Config, 'redisUrl' | 'insecureAllowPlaintextStores'>) {
  return redisUrl === undefined ? undefined : { url: redisUrl, insecurePlaintext: insecureAllowPlaintextStores }
}

/** The process's environment without what is ours: for programs and libraries of others, which find their own settings there. */
export function environmentOfOthers(env: Environment = process.env): Environment {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith('SALLYPORT_')))
}

/** Each setting with its effective value, redacted, and in brackets where it was written. */
export function describeConfig(config: Config): Readonly<Record<string, string>> {
  const from = origins.get(config)
  return Object.fromEntries(
    LEAVES.map((leaf) => [leaf.name, `${describeValue(valueAt(config, leaf.path))} [${from?.get(leaf.name)?.from ?? 'default'}]`]),
  )
}

function configFile(argv: readonly string[], env: Environment): string | undefined {
  const at = argv.findIndex((word) => word === '--config' || word.startsWith('--config='))
  const word = argv[at]
  if (word === undefined) return env['SALLYPORT_CONFIG']
  return word === '--config' ? (argv[at + 1] ?? '') : word.slice('--config='.length)
}

interface ParsedLeaves {
  readonly judged: Judged
  readonly faults: readonly ConfigFault[]
  readonly refused: ReadonlySet<string>
}

/** Every setting by itself, so that one fault hides no other. */
function parseLeaves({ values, faults: earlier }: Layers): ParsedLeaves {
  const judged: Record<string, unknown> = {
    audit: {},
    breaker: {},
    egress: {},
    firstOwner: {},
    keys: {},
    limits: {},
    metrics: {},
    models: {},
    rate: {},
    refresh: {},
    senders: {},
    tls: {},
    usage: {},
  }
  const faults: ConfigFault[] = []
  for (const leaf of LEAVES) {
    const raw = values.get(leaf.name)
    const result = leaf.schema.safeParse(raw?.value)
    if (result.success) put(judged, leaf.path, result.data)
    else faults.push(...result.error.issues.map((issue) => leafFault(leaf, raw, issue)))
  }
  return { judged: judged as unknown as Judged, faults, refused: new Set([...earlier, ...faults].map(({ setting }) => setting)) }
}

type Issue = {
  readonly code: string
  readonly path: readonly PropertyKey[]
  readonly message: string
  readonly issues?: readonly { readonly message: string }[]
}

/** The schema's own texts are for programmers, and some quote what stood there. */
function leafFault(leaf: Leaf, raw: Raw | undefined, issue: Issue): ConfigFault {
  const inner = issue.path.map((step) => (typeof step === 'number' ? `[${step}]` : `.${String(step)}`)).join('')
  const ours = issue.code === 'custom' ? issue.message : issue.issues?.[0]?.message
  const reason = ours ?? `must be ${settingFacts(leaf.schema).expects}`
  return { setting: `${leaf.name}${inner}`, from: raw?.from, reason }
}

function placed(fault: ConfigFault, { values }: Layers): ConfigFault {
  const leaf = LEAVES.find(
    ({ name }) => fault.setting === name || fault.setting.startsWith(`${name}.`) || fault.setting.startsWith(`${name}[`),
  )
  return { ...fault, from: leaf === undefined ? undefined : (values.get(leaf.name)?.from ?? leaf.variable) }
}

function withModeDefaults(parsed: ParsedConfig): Config {
  const production = parsed.mode === 'production'
  return {
    ...parsed,
    host: parsed.host ?? (production ? '0.0.0.0' : '127.0.0.1'),
    publicUrl: parsed.publicUrl ?? `${parsed.tls.certFile === undefined ? 'http' : 'https'}://127.0.0.1:${parsed.port}`,
    linkAssurance: parsed.linkAssurance ?? (production ? 'aal1' : 'aal2'),
    drainNoticeMs: parsed.drainNoticeMs ?? (production ? 5_000 : 0),
    logFormat: parsed.logFormat ?? (production ? 'json' : 'text'),
    models: { ...parsed.models, ...modelEgress(parsed.models, parsed.egress) },
  }
}

function put(into: Record<string, unknown>, [name, inner]: Leaf['path'], value: unknown): void {
  if (inner === undefined) into[name] = value
  else (into[name] as Record<string, unknown>)[inner] = value
}

function valueAt(config: Config, [name, inner]: Leaf['path']): unknown {
  const value = (config as Readonly<Record<string, unknown>>)[name]
  return inner === undefined ? value : (value as Readonly<Record<string, unknown>>)[inner]
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) Object.values(Object.freeze(value)).forEach(deepFreeze)
  return value
}
