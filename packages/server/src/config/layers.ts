/**
 * Owns where settings are written: the file, the variables, the files that secrets are read from. Gives one raw value per setting with its
 * place, variables before the file. Refuses names it doesn't know, two sources for one secret, and every YAML feature beyond plain values.
 */
import { parseDocument } from 'yaml'
import { Secret } from '@sallyport/core'
import type { ConfigFault } from './config-error.ts'
import { GROUPS, LEAVES } from './schema.ts'
import type { Leaf } from './schema.ts'
import { settingFacts } from './setting.ts'
import type { SettingKind } from './setting.ts'

export type Environment = Readonly<Record<string, string | undefined>>

/** The text of a file. Throws as `readFileSync` does, with a `code`. */
export type ReadFile = (path: string) => string

export interface Sources {
  readonly env: Environment
  /** The file to read; it must exist. Undefined: `sallyport.yaml` in the working folder, if there. */
  readonly file: string | undefined
  readonly readFile: ReadFile
}

export interface Raw {
  readonly value: unknown
  /** The variable or the file it stands in. */
  readonly from: string
}

export interface Layers {
  /** By the setting's name; absent: written nowhere, or with a fault. */
  readonly values: ReadonlyMap<string, Raw>
  readonly faults: readonly ConfigFault[]
}

const DEFAULT_FILE = 'sallyport.yaml'
/** Variables of the installation that are no settings: where the file is, and what the test suite is given. */
const CONFIG_VARIABLE = 'SALLYPORT_CONFIG'
const TEST_PREFIX = 'SALLYPORT_TEST_'

export function readLayers(sources: Sources): Layers {
  const reading = new Reading(sources)
  reading.variables()
  reading.file()
  return reading
}

class Reading implements Layers {
  readonly values = new Map<string, Raw>()
  readonly faults: ConfigFault[] = []
  readonly #sources: Sources
  /** Settings that a variable speaks for: whatever the file says of them, and however, is not read. */
  readonly #spokenFor = new Set<string>()

  constructor(sources: Sources) {
    this.#sources = sources
  }

  variables(): void {
    const { env } = this.#sources
    const known = new Set([
      CONFIG_VARIABLE,
      ...LEAVES.flatMap((leaf) => (isSecret(leaf) ? [leaf.variable, `${leaf.variable}_FILE`] : [leaf.variable])),
    ])
    for (const name of Object.keys(env).filter((name) => name.startsWith('SALLYPORT_') && env[name] !== undefined)) {
      if (!known.has(name) && !name.startsWith(TEST_PREFIX)) this.#fault({ setting: name, reason: 'is no setting' })
    }
    for (const leaf of LEAVES) {
      const value = env[leaf.variable]
      const file = isSecret(leaf) ? env[`${leaf.variable}_FILE`] : undefined
      if (value !== undefined || file !== undefined) this.#spokenFor.add(leaf.name)
      if (value !== undefined && file !== undefined) this.#doubled(leaf, leaf.variable, `${leaf.variable}_FILE`)
      else if (file !== undefined) this.#secretFile(leaf, file, `${leaf.variable}_FILE`)
      else if (value !== undefined) this.#text(leaf, value, leaf.variable)
    }
  }

  file(): void {
    const path = this.#sources.file ?? DEFAULT_FILE
    const text = this.#configText(path)
    const root = text === undefined ? {} : this.#parse(text, path)
    if (root === undefined) return
    for (const [name, value] of Object.entries(root)) this.#member([name], value, path)
  }

  #configText(path: string): string | undefined {
    try {
      return this.#sources.readFile(path)
    } catch (error) {
      if (codeOf(error) !== 'ENOENT' || this.#sources.file !== undefined)
        this.#fault({ setting: path, reason: `can't be read (${codeOf(error)})` })
      return undefined
    }
  }

  /** The library's own messages quote the line, which may hold a secret: only its code and the position go further. */
  #parse(text: string, path: string): Readonly<Record<string, unknown>> | undefined {
    const document = parseDocument(text, { schema: 'core', uniqueKeys: true, merge: false, prettyErrors: true })
    const problems = [...document.errors, ...document.warnings]
    for (const problem of problems) {
      const at = problem.linePos?.[0]
      this.#fault({
        setting: path,
        reason: `is no plain YAML${at === undefined ? '' : ` at line ${at.line}, column ${at.col}`} (${problem.code})`,
      })
    }
    if (problems.length > 0) return undefined
    try {
      const root: unknown = document.toJS({ maxAliasCount: 0 })
      if (root === null || root === undefined) return {}
      if (isMapping(root)) return root
      this.#fault({ setting: path, reason: 'must be a mapping of settings' })
    } catch (error) {
      if (!(error instanceof ReferenceError)) throw error
      this.#fault({ setting: path, reason: 'must not use YAML aliases' })
    }
    return undefined
  }

  #member(path: readonly string[], value: unknown, file: string): void {
    const name = path.join('.')
    if (path.length === 1 && GROUPS.includes(name)) {
      if (isMapping(value)) for (const [inner, member] of Object.entries(value)) this.#member([name, inner], member, file)
      else if (value !== null) this.#fault({ setting: name, from: file, reason: 'must be a mapping of settings' })
      return
    }
    const leaf = LEAVES.find((candidate) => candidate.name === name)
    const fileOf = LEAVES.find((candidate) => isSecret(candidate) && `${candidate.name}File` === name)
    if (leaf !== undefined) this.#fromFile(leaf, value, file)
    else if (fileOf !== undefined) this.#fromFile(fileOf, value, file, true)
    else this.#fault({ setting: name, from: file, reason: 'is no setting' })
  }

  #fromFile(leaf: Leaf, value: unknown, file: string, namesFile = false): void {
    if (this.#spokenFor.has(leaf.name)) return
    if (this.values.has(leaf.name)) return this.#doubled(leaf, leaf.name, `${leaf.name}File`)
    const { resolved, referred } = this.#resolve(leaf, value, file)
    if (resolved === undefined) return
    if (namesFile && typeof resolved === 'string') return this.#secretFile(leaf, resolved, `${file}, ${leaf.name}File`)
    if (typeof resolved === 'string' && (referred || isSecret(leaf))) return this.#text(leaf, resolved, file)
    this.values.set(leaf.name, { value: resolved, from: file })
  }

  /** Replaces `${NAME}` in every text inside the value; `$${NAME}` stays as `${NAME}`. Undefined after a fault. */
  #resolve(leaf: Leaf, value: unknown, from: string): { readonly resolved: unknown; readonly referred: boolean } {
    let referred = false
    let failed = false
    const visit = (node: unknown): unknown => {
      if (Array.isArray(node)) return node.map(visit)
      if (isMapping(node)) return Object.fromEntries(Object.entries(node).map(([name, member]) => [name, visit(member)]))
      if (typeof node !== 'string') return node
      return node.replaceAll(/\$(\$?)\{([^}]*)\}/g, (whole, escaped: string, name: string) => {
        if (escaped !== '') return whole.slice(1)
        referred = true
        const found = this.#sources.env[name]
        if (found !== undefined) return found
        failed = true
        this.#fault({
          setting: leaf.name,
          from,
          reason: `refers to a variable that is not set (${/^\w{1,64}$/.test(name) ? name : 'malformed name'})`,
        })
        return ''
      })
    }
    const resolved = visit(value)
    return { resolved: failed ? undefined : resolved, referred }
  }

  #secretFile(leaf: Leaf, path: string, from: string): void {
    try {
      this.#text(leaf, this.#sources.readFile(path).replace(/\r?\n$/, ''), from)
    } catch (error) {
      this.#fault({ setting: leaf.name, from, reason: `names a file that can't be read (${codeOf(error)})` })
    }
  }

  #text(leaf: Leaf, text: string, from: string): void {
    this.values.set(leaf.name, { value: READERS[settingFacts(leaf.schema).kind](text), from })
  }

  #doubled(leaf: Leaf, one: string, other: string): void {
    this.values.delete(leaf.name)
    this.#fault({ setting: leaf.name, reason: `is given twice, by ${one} and by ${other}; exactly one is allowed` })
  }

  #fault(fault: ConfigFault): void {
    this.faults.push(fault)
  }
}

/** What can't be read stays text, which the schema then refuses. */
const READERS: Readonly<Record<SettingKind, (text: string) => unknown>> = {
  text: (text) => text,
  secret: (text) => new Secret(text),
  integer: readInteger,
  boolean: readBoolean,
  list: readList,
  integers: (text) => readList(text).map(readInteger),
  json: readJson,
}

function readInteger(text: string): unknown {
  return /^(?:0|[1-9]\d{0,15})$/.test(text) ? Number(text) : text
}

function readBoolean(text: string): unknown {
  return text === 'true' || (text === 'false' ? false : text)
}

function readList(text: string): readonly string[] {
  return text.trim() === '' ? [] : text.split(',').map((entry) => entry.trim())
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

function isSecret(leaf: Leaf): boolean {
  return settingFacts(leaf.schema).kind === 'secret'
}

function isMapping(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'unknown fault'
}
