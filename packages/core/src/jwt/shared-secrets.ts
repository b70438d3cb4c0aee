/**
 * Owns the text form of secrets that installations share with issuers: `name:secret[,name:secret...]`. Refuses what could be guessed, what examples
 * show, and to repeat any part of one.
 */
import { Secret } from '../kernel/index.ts'
import { MIN_SHARED_SECRET } from './verify.ts'

/** Secrets by their issuers, as configuration has them. */
export interface ReadSharedSecrets {
  readonly secrets: ReadonlyMap<string, Secret>
  /** Each the end of a sentence. With one of them, `secrets` is not to be used. */
  readonly faults: readonly string[]
}

const NAME = /^[a-z0-9][a-z0-9-]{0,31}$/u
/** What the self-hosting guides and local stacks of issuers come with. */
const PUBLISHED = /super-secret-jwt-token|your-super-secret|change-?me|example/iu

/** Reads the secrets by their names. */
export function readSharedSecrets(text: Secret): ReadSharedSecrets {
  const secrets = new Map<string, Secret>()
  const faults: string[] = []
  text
    .reveal()
    .split(',')
    .forEach((entry, index) => {
      const colon = entry.indexOf(':')
      const [name, value] = [entry.slice(0, Math.max(0, colon)).trim(), entry.slice(colon + 1).trim()]
      const fault = faultOf(name, value, secrets)
      if (fault === undefined) secrets.set(name, new Secret(value))
      else faults.push(`is refused: entry ${index + 1} ${fault}`)
    })
  return { secrets, faults }
}

function faultOf(name: string, value: string, known: ReadonlyMap<string, Secret>): string | undefined {
  if (!NAME.test(name)) return 'is not name:secret, with a name of lower-case letters, digits and hyphens'
  if (known.has(name)) return 'has the name of another'
  if (Buffer.byteLength(value) < MIN_SHARED_SECRET) return `has fewer than ${MIN_SHARED_SECRET} bytes`
  if (new Set(value).size < 8) return 'repeats a few characters'
  return PUBLISHED.test(value) ? 'is one that examples use' : undefined
}
