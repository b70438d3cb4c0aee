/** Owns what may be registered as an origin: to return to (battery O-19), or to call from. Refuses every spelling but the parser's own. */
import { ProblemError } from '../../../http/index.ts'

const LOOPBACK: ReadonlySet<string> = new Set(['localhost', '127.0.0.1', '[::1]'])

/**
 * The origins without repeats, in order. Each must be exactly what `URL.origin` gives for it: scheme, host, and port unless it is the
 * scheme's own; https, or http on loopback where `loopbackOrigins`.
 * @param at where they stand in the request, as a JSON pointer.
 * @throws ProblemError `validation_failed` naming each that is not.
 */
export function checkedOrigins(origins: readonly string[], loopbackOrigins: boolean, at = '/body/return_origins'): string[] {
  const faults = origins.flatMap((origin, index) => {
    const reason = originFault(origin, loopbackOrigins)
    return reason === undefined ? [] : [{ pointer: `${at}/${index}`, reason }]
  })
  if (faults.length > 0) throw new ProblemError('validation_failed', 'An origin is scheme://host[:port], nothing more.', { faults })
  return [...new Set(origins)]
}

function originFault(text: string, loopbackOrigins: boolean): string | undefined {
  const url = URL.parse(text)
  if (url === null || url.origin !== text) return 'must be exactly scheme://host[:port], in lower case, without path or default port'
  // Some parsers take it for a host like any other. Compared exactly it would admit nobody, and be read as admitting many.
  if (url.hostname.includes('*')) return 'must name one host, without *'
  if (url.protocol === 'https:') return undefined
  if (url.protocol === 'http:' && LOOPBACK.has(url.hostname)) return loopbackOrigins ? undefined : 'must be https outside development'
  return 'must be https'
}
