/** Owns reading Cache-Control (RFC 9111 section 5.2). Refuses to read a number into what is none: such a lifetime is over. */

/** A directive's value; '' for one without. The smallest of several numbers counts, else the first. */
export type Directives = ReadonlyMap<string, string>

const DIRECTIVE = /(?<name>[!#$%&'*+.^_`|~0-9A-Za-z-]+)(?:\s*=\s*(?:"(?<quoted>(?:[^"\\]|\\.)*)"|(?<bare>[^\s,"]*)))?/gu

export function cacheControl(headers: Headers): Directives {
  const found = new Map<string, string>()
  for (const { groups } of (headers.get('cache-control') ?? '').matchAll(DIRECTIVE)) {
    const [name, value] = [groups!['name']!.toLowerCase(), groups!['quoted'] ?? groups!['bare'] ?? '']
    const before = found.get(name)
    if (before === undefined || secondsIn(value) < secondsIn(before)) found.set(name, value)
  }
  return found
}

/** The seconds of a directive, 0 where it names none, undefined where it is absent. */
export function secondsOf(directives: Directives, name: string): number | undefined {
  const value = directives.get(name)
  return value === undefined ? undefined : secondsIn(value)
}

function secondsIn(value: string): number {
  return /^\d+$/u.test(value) ? Math.min(Number(value), 2 ** 31) : 0
}
