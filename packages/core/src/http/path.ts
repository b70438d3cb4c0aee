/**
 * Owns the form of paths that may be joined to an API base. Refuses, rather than repairs, every path that two parsers could read
 * differently: what is accepted is sent byte for byte and never normalised afterwards.
 */
import { EgressError } from './egress-error.ts'

/** A path with its query that may be appended to an ApiBase as text. Only this file makes one. */
export type JudgedPath = string & { readonly __judged: 'path' }

const MAX_LENGTH = 16_384
/** How many rounds of percent-decoding a careless server might do before it uses a path. More nesting than this is refused. */
const MAX_NESTING = 4

/** RFC 3986 `pchar` and `/`, plus `[`, `]` and `|`, which clients send bare and no URL parser rewrites in a path. */
const PATH_CHARACTERS = /^\/[A-Za-z0-9\-._~%!$&'()*+,;=:@/[\]|]*$/
const QUERY_CHARACTERS = /^[!"$-~]*$/
/** A segment that some server reads as `.` or `..`: bare, with matrix parameters (`..;a=b`), or cut at what decoding revealed. */
const DOT_SEGMENT = /\/\.{1,2}(?:[/;?#\s]|$)/
const ESCAPE = /%([0-9A-Fa-f]{2})/g
const BROKEN_ESCAPE = /%(?![0-9A-Fa-f]{2})/
const utf8 = new TextDecoder('utf-8', { fatal: true })

/**
 * Judges what followed `/proxy/{integration}` on the wire, undecoded: empty, or `/path`, with or without `?query`.
 * Gives the same text (with a leading `/`). Refused in the path: `//`, backslash, `#`, anything but printable ASCII, broken
 * escapes, dot segments, and `.` `/` `\` or control characters percent-encoded at any depth. The query is only held to printable
 * ASCII without `#`.
 * @throws EgressError `path_refused`
 */
export function judgePath(raw: string): JudgedPath {
  if (raw.length > MAX_LENGTH) throw refused('length')
  const mark = raw.indexOf('?')
  const path = mark < 0 ? raw : raw.slice(0, mark)
  if (path !== '') judgePathPart(path)
  if (mark >= 0 && !QUERY_CHARACTERS.test(raw.slice(mark + 1))) throw refused('query')
  return (path === '' ? `/${raw}` : raw) as JudgedPath
}

/**
 * Fills `{name}` places of a path template, each value as exactly one encoded segment part (battery I-07). The template itself is
 * ours, from a connector, and is judged with every place filled by a plain letter.
 * @throws EgressError `path_refused` for a missing, empty or dot-only value, or a template that is itself refused.
 */
export function fillPath(template: string, values: Readonly<Record<string, string>>): JudgedPath {
  judgePath(template.replace(/\{\w+\}/g, 'x'))
  return template.replace(/\{(\w+)\}/g, (_place, name: string) =>
    encodeSegment(Object.hasOwn(values, name) ? values[name]! : ''),
  ) as JudgedPath
}

function encodeSegment(value: string): string {
  // `.` is unreserved, so no encoding hides it: WHATWG URL reads %2e%2e as `..` too.
  if (/^\.{0,2}$/.test(value) || !value.isWellFormed()) throw refused('segment')
  return encodeURIComponent(value)
}

function judgePathPart(path: string): void {
  if (!PATH_CHARACTERS.test(path)) throw refused('characters')
  if (path.includes('//')) throw refused('empty segment')
  if (DOT_SEGMENT.test(path)) throw refused('dot segment')
  if (path.includes('%')) judgeEscapes(path)
}

function judgeEscapes(path: string): void {
  if (BROKEN_ESCAPE.test(path)) throw refused('escape')
  let text = path
  for (let round = 0; round < MAX_NESTING; round++) {
    const decoded = decodeOnce(text)
    if (DOT_SEGMENT.test(decoded)) throw refused('dot segment')
    if (decoded === text) return
    text = decoded
  }
  throw refused('nested escapes')
}

/** Bytes as Latin-1 characters, so that a sequence split over two rounds of decoding is still seen as bytes. */
function decodeOnce(text: string): string {
  const decoded = text.replace(ESCAPE, (_escape, hex: string) => {
    const byte = Number.parseInt(hex, 16)
    if (byte < 0x20 || byte === 0x7f || byte === 0x2e || byte === 0x2f || byte === 0x5c) throw refused('encoded character')
    return String.fromCharCode(byte)
  })
  if (decoded !== text) requireUtf8(decoded)
  return decoded
}

/** Overlong forms (%c0%ae for a dot) are not UTF-8; some servers decode them all the same. */
function requireUtf8(latin1: string): void {
  try {
    utf8.decode(Buffer.from(latin1, 'latin1'))
  } catch {
    throw refused('encoding')
  }
}

function refused(reason: string): EgressError {
  return new EgressError('path_refused', reason)
}
