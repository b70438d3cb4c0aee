/**
 * Owns putting a credential into an outgoing request, the last thing that happens to it. Refuses to add beside what the caller sent:
 * every injected name is taken out of the caller's headers and query first.
 */
import { Secret } from '../kernel/index.ts'
import { EgressError } from './egress-error.ts'
import { dashed, requireSafe } from './headers.ts'

/** One place of a credential. A header's value is the whole value, scheme included (`Bearer ...`). */
export interface Injection {
  readonly kind: 'header' | 'query'
  readonly name: string
  readonly value: Secret
}

export interface InjectedRequest {
  readonly path: string
  readonly headers: string[]
  /** Names of injected headers, lower case, `_` read as `-`; undefined for none. */
  readonly names: ReadonlySet<string> | undefined
}

/**
 * The request as it goes out. Gives new arrays; the caller's stay as they are and never hold the secret.
 * @throws EgressError `header_refused` when a name or value can't be a header's.
 */
export function inject(path: string, headers: readonly string[], injections: readonly Injection[]): InjectedRequest {
  let target = path
  let names: Set<string> | undefined
  for (const injection of injections) {
    if (injection.kind === 'query') target = withoutQuery(target, injection.name)
    else (names ??= new Set()).add(dashed(injection.name.toLowerCase()))
  }
  const sent = names === undefined ? [...headers] : withoutNames(headers, names)
  for (const { kind, name, value } of injections) {
    if (kind === 'query') target += `${target.includes('?') ? '&' : '?'}${encodeURIComponent(name)}=${encodeQuery(value)}`
    else pushHeader(sent, name, value)
  }
  return { path: target, headers: sent, names }
}

/**
 * What an echo of these injections would show: each value or, of one with an authentication scheme, what comes after that, and the query's encoding.
 * `further` secrets follow, each once: a template may put more around a key than a scheme.
 */
export function echoesOf(injections: readonly Injection[], further: readonly Secret[] = []): Secret[] {
  const echoes: Secret[] = []
  for (const { kind, value } of injections) {
    const space = kind === 'header' ? value.reveal().indexOf(' ') : -1
    echoes.push(space < 0 ? value : new Secret(value.reveal().slice(space + 1)))
    if (kind === 'query') echoes.push(new Secret(encodeQuery(value)))
  }
  for (const secret of further) if (!echoes.some((echo) => echo.reveal() === secret.reveal())) echoes.push(secret)
  return echoes
}

function pushHeader(headers: string[], name: string, value: Secret): void {
  const text = value.reveal()
  requireSafe(name, text)
  headers.push(name, text)
}

function encodeQuery(value: Secret): string {
  const text = value.reveal()
  if (!text.isWellFormed()) throw new EgressError('header_refused', 'value')
  return encodeURIComponent(text)
}

function withoutNames(headers: readonly string[], names: ReadonlySet<string>): string[] {
  const kept: string[] = []
  for (let i = 0; i + 1 < headers.length; i += 2) {
    if (!names.has(dashed(headers[i]!.toLowerCase()))) kept.push(headers[i]!, headers[i + 1]!)
  }
  return kept
}

/** `path` without any parameter a server might take for `name`: in any case, percent-encoded, or as `name[]`. */
function withoutQuery(path: string, name: string): string {
  const mark = path.indexOf('?')
  if (mark < 0) return path
  const wanted = name.toLowerCase()
  const kept = path
    .slice(mark + 1)
    .split('&')
    .filter((pair) => parameterName(pair) !== wanted)
  return kept.length === 0 ? path.slice(0, mark) : `${path.slice(0, mark)}?${kept.join('&')}`
}

function parameterName(pair: string): string {
  const encoded = pair.split('=', 1)[0]!.replaceAll('+', ' ')
  const decoded = encoded.replace(/%([0-9A-Fa-f]{2})/g, (_escape, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
  return decoded.split('[', 1)[0]!.trim().toLowerCase()
}
