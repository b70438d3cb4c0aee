/** Owns what a proof and its workers say to each other. Data only. */

export type StoreChoice = { readonly kind: 'postgres' | 'redis'; readonly url: string }

export interface WorkerSettings {
  /** `slot.life`, such as `a.3`: the third process in slot a. */
  readonly node: string
  readonly store: StoreChoice
  /** 64 hex digits. */
  readonly encryptionKey: string
  /** Where this node finds the issuer's origin: its own wire. */
  readonly issuerOrigin: string
  readonly client: string
  readonly rotation: { readonly kind: 'none' } | { readonly kind: 'grace'; readonly seconds: number } | { readonly kind: 'strict' }
  readonly requestLifetimeMs: number
  /** Outlives the process: the next one in the slot finds it. */
  readonly spillFolder: string
  readonly bufferMs: number
  /** Wall time of this node minus the machine's. */
  readonly clockOffsetMs: number
}

export type WorkerCommand =
  /** Callers that ask for fresh tokens one call after the other, until `quiet`; eager ones without a rest, and patiently. */
  | {
      readonly do: 'load'
      readonly credentials: readonly string[]
      readonly callers: number
      readonly seed: string
      readonly eager: boolean
    }
  | { readonly do: 'quiet' }
  /** One call. `force` wants a newer version than this one. */
  | { readonly do: 'fresh'; readonly credential: string; readonly force: string | null }
  /** So many calls for one credential in the same turn. */
  | { readonly do: 'storm'; readonly credential: string; readonly callers: number }
  | { readonly do: 'clock'; readonly offsetMs: number }
  /** Ends itself by SIGKILL the next time the refresher passes this point. */
  | { readonly do: 'die'; readonly at: string }
  | { readonly do: 'counters' }

/** What a worker answers, by command. */
export interface WorkerAnswers {
  readonly load: null
  readonly quiet: null
  readonly fresh: { readonly seq: string; readonly code: null } | { readonly seq: null; readonly code: string }
  /** One wait per caller, in milliseconds, and the codes of those that failed. */
  readonly storm: { readonly waitsMs: readonly number[]; readonly failures: readonly string[] }
  readonly clock: null
  readonly die: null
  /** Calls by outcome: `ok`, `stale`, or the code of the failure. */
  readonly counters: Readonly<Record<string, number>>
}

export interface Asked {
  readonly id: number
  readonly command: WorkerCommand
}

export type Said =
  | { readonly said: 'ready' }
  | { readonly said: 'answer'; readonly id: number; readonly answer: unknown }
  | { readonly said: 'failed'; readonly id: number; readonly why: string }

/** The scope of every credential of a proof. */
export const SCOPE = 'proof'
