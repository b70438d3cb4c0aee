/**
 * What people have granted in the sandbox: one grant per code exchange, with the tokens that came of it. It keeps hashes of tokens, never
 * tokens, in memory and in the file, so that a restarted sandbox still knows them. It refuses to guess: a file it cannot read stops the start.
 *
 *   file: { "version": 1, "grants": [ { provider, user, scope, clientId, offline, tokens: [ { hash, kind, expiresAt } ] } ] }
 */
import { createHash } from 'node:crypto'
import { open, readFile, rename } from 'node:fs/promises'
import type { Consent } from './provider.ts'

export interface IssuedToken {
  /** SHA-256 of the token, hex. */
  hash: string
  kind: 'access' | 'refresh'
  /** Milliseconds since the epoch, or null when it does not expire. */
  expiresAt: number | null
}

export interface Grant extends Consent {
  provider: string
  tokens: IssuedToken[]
}

export class GrantBook {
  readonly #file: string | undefined
  #grants: Grant[]
  #saving: Promise<void> = Promise.resolve()

  constructor(file: string | undefined, grants: Grant[]) {
    this.#file = file
    this.#grants = grants
  }

  /** Opens the book kept at `file`, or one in memory only. @throws Error naming the file when it exists and cannot be read as a book. */
  static async open(file: string | undefined): Promise<GrantBook> {
    return new GrantBook(file, file === undefined ? [] : await readGrants(file))
  }

  /** The grant that `token` belongs to, if this sandbox issued it, as that kind, and it has not expired by `now`. */
  find(provider: string, kind: IssuedToken['kind'], token: string, now: number): Grant | undefined {
    const hash = hashOf(token)
    const live = (issued: IssuedToken): boolean =>
      issued.hash === hash && issued.kind === kind && (issued.expiresAt === null || issued.expiresAt > now)
    return this.#grants.find((grant) => grant.provider === provider && grant.tokens.some(live))
  }

  add(grant: Grant): void {
    this.#grants.push(grant)
  }

  /** Adds a token to a grant and drops the grant's expired ones. `expiresIn` in seconds. */
  issue(grant: Grant, kind: IssuedToken['kind'], token: string, expiresIn: number | undefined, now: number): void {
    grant.tokens = grant.tokens.filter((issued) => issued.expiresAt === null || issued.expiresAt > now)
    grant.tokens.push({ hash: hashOf(token), kind, expiresAt: expiresIn === undefined ? null : now + expiresIn * 1000 })
  }

  forgetToken(grant: Grant, token: string): void {
    const hash = hashOf(token)
    grant.tokens = grant.tokens.filter((issued) => issued.hash !== hash)
    this.#grants = this.#grants.filter((known) => known.tokens.length > 0)
  }

  /** Forgets everything the user of `grant` ever granted to its client. */
  forgetUser(grant: Grant): void {
    const same = (known: Grant): boolean =>
      known.provider === grant.provider && known.user === grant.user && known.clientId === grant.clientId
    this.#grants = this.#grants.filter((known) => !same(known))
  }

  /** Resolves when the book as it is now is on disk. Saves are one after another; each writes the newest state. */
  async save(): Promise<void> {
    const file = this.#file
    if (file === undefined) return
    const attempt = this.#saving.then(() => writeAtomically(file, JSON.stringify({ version: 1, grants: this.#grants })))
    // The next save must not fail because this one did; whoever asked for this one still sees its error.
    this.#saving = attempt.catch(() => undefined)
    await attempt
  }
}

function hashOf(token: string): string {
  return createHash('sha256').update(token).digest('hex')
}

async function readGrants(file: string): Promise<Grant[]> {
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
  try {
    const book = JSON.parse(text) as { version?: unknown; grants?: unknown }
    if (book.version !== 1 || !Array.isArray(book.grants)) throw new TypeError('not a version 1 book')
    return book.grants as Grant[]
  } catch (error) {
    throw new Error(`The sandbox's grant file ${file} cannot be read. Delete it to start with no connected sandbox accounts.`, {
      cause: error,
    })
  }
}

/** Readable by its owner alone, and either the old file or the new one, whatever happens in between. */
async function writeAtomically(file: string, text: string): Promise<void> {
  const next = `${file}.${process.pid}.tmp`
  const handle = await open(next, 'w', 0o600)
  try {
    await handle.writeFile(text)
    await handle.sync()
  } finally {
    await handle.close()
  }
  await rename(next, file)
}
