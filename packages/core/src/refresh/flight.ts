/** Owns the shape of one refresh within a process and how it ends. Refuses to end with an exception: every caller reads the same landing. */
import type { CredentialRef, TokenSet } from '../tokens/index.ts'
import type { Reading, Want } from './policy.ts'

/** Tokens for a call. */
export interface FreshTokens {
  readonly tokens: TokenSet
  readonly generation: number
  /** Of the version; of its parent while `unsaved`. */
  readonly seq: bigint
  /** They could not be renewed in time, and can be used yet. */
  readonly stale: boolean
  /** This process has them and the store does not, yet. */
  readonly unsaved: boolean
}

export type Landing =
  | { readonly kind: 'served'; readonly fresh: FreshTokens }
  | { readonly kind: 'failed'; readonly error: Error }
  /** Only of a recovery: it is another's, or not its time. */
  | { readonly kind: 'left'; readonly lookAgainMs: number }

export interface Flight {
  readonly ref: CredentialRef
  readonly key: string
  /** Looks after an intent that nobody seems to look after; never waits for others. */
  readonly recovering: boolean
  /** Of the caller that began it; those that join look again when it lands without what they want. */
  readonly want: Want
  /** The last one. */
  reading: Reading | undefined
  /** The head when the flight began, to tell another's work by. */
  readonly firstHead: { readonly generation: number; readonly seq: bigint } | undefined
  waited: boolean
}

export function failed(error: Error): Landing {
  return { kind: 'failed', error }
}

export function served({ state: { head } }: Reading): Landing {
  return { kind: 'served', fresh: { tokens: head.tokens, generation: head.generation, seq: head.seq, stale: false, unsaved: false } }
}
