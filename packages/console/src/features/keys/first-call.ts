/** Owns the command that shows a new key at work. */
import type { Connection } from '../../api/resources.ts'

/** Per provider, a path that answers who is connected; for another provider the reader knows better. */
const WHO_AM_I: Readonly<Record<string, string>> = {
  github: 'user',
  google: 'oauth2/v2/userinfo',
}

/** A curl line for a POSIX shell. Ids, slugs, keys and origins hold nothing that single quotes would not keep. */
export function firstCall(origin: string, secret: string, { id, integration, provider }: Connection): string {
  const path = WHO_AM_I[provider] ?? ''
  return `curl -H 'Authorization: Bearer ${secret}' -H 'Sallyport-Connection: ${id}' '${origin}/proxy/${integration}/${path}'`
}
