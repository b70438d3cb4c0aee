/** Owns reading the names in a query as the servers of this world read them. Only for looking, never for routing: what goes out stays as it was written. */

export interface QueryParameter {
  /** Percent escapes undone, byte by byte. */
  readonly name: string
  /** Likewise; undefined without `=`. */
  readonly value: string | undefined
}

/** A semicolon parts parameters at some servers. */
const BETWEEN = /[&;]/u
const ESCAPE = /%([0-9A-Fa-f]{2})/gu

/** Of a path with its query. Decoded after they were parted: a value may be a whole URL with a query of its own. */
export function queryParameters(path: string): readonly QueryParameter[] {
  const mark = path.indexOf('?')
  return mark < 0
    ? []
    : path
        .slice(mark + 1)
        .split(BETWEEN)
        .map(parameterOf)
}

function parameterOf(text: string): QueryParameter {
  const equals = text.indexOf('=')
  if (equals < 0) return { name: decoded(text), value: undefined }
  return { name: decoded(text.slice(0, equals)), value: decoded(text.slice(equals + 1)) }
}

function decoded(text: string): string {
  if (!text.includes('%')) return text
  return text.replace(ESCAPE, (_escape, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
}
