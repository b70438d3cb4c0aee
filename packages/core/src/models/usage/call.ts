/** Owns what a call's method and path say of its use. Refuses to guess a model: what is not written there is unknown. */
import type { Dialect } from '../schema.ts'

/**
 * - `generation`: a model writes. `embedding`: it reads alone. Both say what they used.
 * - `free`: nothing of it is charged by tokens. `other`: something may be, in units that aren't tokens.
 */
export type CallKind = 'generation' | 'embedding' | 'free' | 'other'

/** The last segment or method and nothing beside it: `/chat;cancel` is whatever its provider takes it for. */
const COUNTING = /[/:](?:count[_-]?tokens|input_tokens|tokenize|detokenize|moderations|files|uploads(?:\/.*)?|cancel)$/iu
const EMBEDDING = /(?:\/embeddings|\/embed|:(?:batch)?embed[a-z]*|\/rerank)$/iu
const GENERATION =
  /(?:\/(?:chat\/)?completions|\/responses|\/interactions|\/messages|\/chat|\/converse(?:-stream)?|\/invoke(?:-with-response-stream)?|:(?:stream)?(?:generatecontent|rawpredict))$/iu

/** Of POST, by path: asked several times a call, of few paths. */
const kinds = new Map<string, CallKind>()
const MOST_KINDS = 500
const LONGEST_KNOWN = 120

/** @param written the path without its query */
export function callKind(method: string, written: string): CallKind {
  if (method !== 'POST') return method === 'PUT' || method === 'PATCH' ? 'other' : 'free'
  const known = kinds.get(written)
  if (known !== undefined) return known
  const kind = postKind(plainPath(written))
  // Callers choose paths freely: whoever names ever new ones makes the others be asked anew, and no more.
  if (kinds.size >= MOST_KINDS) kinds.clear()
  if (written.length <= LONGEST_KNOWN) kinds.set(written, kind)
  return kind
}

function postKind(path: string): CallKind {
  if (COUNTING.test(path)) return 'free'
  if (EMBEDDING.test(path)) return 'embedding'
  return GENERATION.test(path) ? 'generation' : 'other'
}

const IN_PATH: Readonly<Partial<Record<Dialect, RegExp>>> = {
  gemini: /\/models\/(?<model>[^/:]+):/u,
  bedrock: /\/model\/(?<model>[^/]+)\//u,
}

/** The model that a path names, decoded. */
export function modelOfPath(dialect: Dialect, path: string): string | undefined {
  const written = IN_PATH[dialect]?.exec(plainPath(path))?.groups?.['model']
  if (written === undefined) return undefined
  try {
    return cleanModel(decodeURIComponent(written))
  } catch {
    return undefined
  }
}

const ESCAPED = /%[0-9a-f]{2}/giu
const NEEDS_NONE = /[\w.~:-]/u

/** As providers read it: escapes of what needs none undone (RFC 3986 section 2.3), no slash at its end. Whoever writes it otherwise asks for the same. */
export function plainPath(path: string): string {
  if (!path.includes('%') && !path.endsWith('/')) return path
  const plain = path.replaceAll(ESCAPED, (escaped) => {
    const meant = String.fromCodePoint(Number.parseInt(escaped.slice(1), 16))
    return NEEDS_NONE.test(meant) ? meant : escaped
  })
  return plain.replace(/\/+$/u, '')
}

const MODEL = /^[0-9A-Za-z@][0-9A-Za-z._:/@+-]{0,159}$/u

/** A model's name as it is kept, or undefined for what is none: a name is no place for text. */
export function cleanModel(name: string | undefined): string | undefined {
  return name !== undefined && MODEL.test(name) ? name : undefined
}

export function pathOnly(path: string): string {
  const query = path.indexOf('?')
  return query === -1 ? path : path.slice(0, query)
}
