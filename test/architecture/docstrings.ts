/**
 * Owns the rule that every name of the packages that others build on says what it is: where a name is declared stands a docstring. Refuses to be
 * told by a list of names: what a package exports is read from its entry point, through every file that it hands on.
 */
import { readFileSync } from 'node:fs'
import { dirname, relative, resolve, sep } from 'node:path'
import { parseSync } from 'oxc-parser'
import type { Comment, Program } from 'oxc-parser'

/** What others build on. Paths from the root of the repository. */
export const ENTRY_POINTS = ['packages/core/src/index.ts', 'packages/client/src/index.ts', 'packages/contract/src/index.ts'] as const

/** A name that is handed out, and where it is declared. `start` -1: it is declared nowhere that could be found. */
export interface Exported {
  readonly name: string
  readonly file: string
  readonly start: number
}

interface Read {
  readonly text: string
  readonly program: Program
  readonly comments: readonly Comment[]
}

/** Reads files once. `read` gives a file's text. */
export class Exports {
  readonly #files = new Map<string, Read>()
  readonly #readText: (file: string) => string

  constructor(readText: (file: string) => string = (file) => readFileSync(file, 'utf8')) {
    this.#readText = readText
  }

  /** Every name that the file exports, its own and those of others. What comes from another package is that package's. */
  of(file: string): Exported[] {
    return this.#read(file).program.body.flatMap((node): Exported[] => {
      if (node.type === 'ExportAllDeclaration') return isOwn(node.source.value) ? this.of(beside(file, node.source.value)) : []
      if (node.type !== 'ExportNamedDeclaration') return []
      if (node.declaration !== null) return namesOf(node.declaration).map((name) => ({ name, file, start: node.start }))
      const source = node.source?.value
      if (source !== undefined && !isOwn(source)) return []
      return node.specifiers.map(({ local, exported }) => {
        const found = source === undefined ? this.#declared(file, nameOf(local)) : this.#handedOn(beside(file, source), nameOf(local))
        return { ...found, name: nameOf(exported) }
      })
    })
  }

  /** Whether a docstring stands right before it, and says something. */
  isDocumented({ file, start }: Exported): boolean {
    if (start < 0) return false
    const { text, comments } = this.#read(file)
    const last = comments.filter(({ end }) => end <= start).at(-1)
    if (last === undefined || last.type !== 'Block' || !last.value.startsWith('*')) return false
    return text.slice(last.end, start).trim() === '' && /\w{2}/u.test(last.value)
  }

  #handedOn(file: string, name: string): Exported {
    return this.of(file).find((one) => one.name === name) ?? { name, file, start: -1 }
  }

  #declared(file: string, name: string): Exported {
    const node = this.#read(file).program.body.find((one) => namesOf(one).includes(name))
    return { name, file, start: node?.start ?? -1 }
  }

  #read(file: string): Read {
    const known = this.#files.get(file)
    if (known !== undefined) return known
    const text = this.#readText(file)
    const { program, comments, errors } = parseSync(file, text)
    if (errors.length > 0) throw new Error(`${file} does not parse: ${errors[0]!.message}`)
    const read = { text, program, comments }
    this.#files.set(file, read)
    return read
  }
}

/** `file: name` of what has no docstring. */
export function undocumented(root: string, entry: string, exports = new Exports()): string[] {
  const missing = exports.of(resolve(root, entry)).filter((one) => !exports.isDocumented(one))
  return [...new Set(missing.map(({ file, name }) => `${relative(root, file).split(sep).join('/')}: ${name}`))].toSorted()
}

type Node = Program['body'][number]

function namesOf(node: Node): string[] {
  if (node.type === 'VariableDeclaration') return node.declarations.flatMap(({ id }) => (id.type === 'Identifier' ? [id.name] : []))
  return 'id' in node && node.id !== null && 'name' in node.id && typeof node.id.name === 'string' ? [node.id.name] : []
}

function nameOf(name: { readonly type: string; readonly name?: string; readonly value?: string }): string {
  return name.name ?? name.value ?? ''
}

function isOwn(specifier: string): boolean {
  return specifier.startsWith('.')
}

function beside(file: string, specifier: string): string {
  return resolve(dirname(file), specifier)
}
