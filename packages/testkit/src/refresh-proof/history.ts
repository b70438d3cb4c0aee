/**
 * Owns the shape of a proof's history: what the issuer saw, what was done to the nodes, and what the store held in the end. Data only, so that
 * it can be written to a file and judged again. Times are milliseconds since the epoch by the machine's own clock, which no fault moves.
 */

/** How the issuer of a proof treats a refresh token that was used. */
export type IssuerProfile =
  | { readonly kind: 'none' }
  /**
   * Shown again within `seconds`, the old token gives the `same` successor once more, or `another` that ends the first one. Later, or once its
   * successor was used, showing it again ends the grant.
   */
  | { readonly kind: 'grace'; readonly seconds: number; readonly again: 'same' | 'another' }
  /** Showing a used token again ends the grant. */
  | { readonly kind: 'strict' }

export type ProfileKind = IssuerProfile['kind']

/**
 * What the issuer's books say became of one showing:
 * - `rotated`: the token was spent and has a successor. `again`: it had been spent, and grace gave a successor once more.
 * - `kept`: accepted, and the token stays good.
 * - `reuse`: it had been spent, and showing it ended the grant.
 * - `replaced`: another successor had taken its place. `ended`: the grant had ended before.
 * - `untouched`: the books were not opened.
 */
export type ShowingOutcome = 'rotated' | 'again' | 'kept' | 'reuse' | 'replaced' | 'ended' | 'untouched'

/**
 * What whoever got the whole answer knows: it holds tokens; the grant is refused; the token was not spent (RFC 6585 section 4, or a refusal of
 * the client); or nothing (`unclear`), because the answer says nothing of it or never came.
 */
export type ShowingTold = 'tokens' | 'refused' | 'not_spent' | 'unclear'

/** One refresh token shown at the token endpoint. */
export interface Showing {
  /** Counts up in order of arrival. */
  readonly request: number
  readonly client: string
  /** Which node showed it, as `slot.life`: what stands in the path of its token endpoint. */
  readonly node: string
  readonly grant: string
  /** The token's serial within its grant; 0 came with the consent. */
  readonly token: number
  readonly arrivedAt: number
  readonly outcome: ShowingOutcome
  readonly committedAt: number | null
  /** The serial that was given, if any. */
  readonly successor: number | null
  /** The name of the fault that was played. */
  readonly fault: string | null
  readonly told: ShowingTold
  /** When its connection ended or the answer's last byte was handed to the kernel; null while neither. */
  readonly doneAt: number | null
  /** Whether the answer's last byte left the issuer. It may have met a dead reader all the same. */
  readonly delivered: boolean
}

/** What the issuer's books say of a grant. */
export interface GrantRecord {
  readonly id: string
  readonly client: string
  readonly profile: IssuerProfile
  readonly madeAt: number
  /** `revoked` by the person, on purpose of the proof; `reuse` because a spent token was shown. */
  readonly ended: { readonly by: 'revoked' | 'reuse'; readonly at: number } | null
  /** Serials that would be accepted now. */
  readonly live: readonly number[]
}

/** Something done to a node. A pause ends at `until`; a kill doesn't. */
export interface NodeFault {
  readonly node: string
  readonly kind: 'kill' | 'terminate' | 'pause' | 'clock'
  readonly at: number
  readonly until: number | null
}

/** Something done to the wire of one slot. `to` is what it leads to; the `hint` is the Redis of a gateway, which decides nothing. */
export interface WireFault {
  readonly slot: string
  readonly to: 'store' | 'issuer' | 'hint'
  readonly kind: 'cut' | 'black_hole' | 'delay' | 'reset'
  readonly at: number
  readonly until: number
}

/** What the store holds of a grant when all is quiet. */
export interface Holding {
  readonly grant: string
  readonly status: 'active' | 'reconnect_required' | 'revoked'
  readonly trouble: string | null
  /** First seen with a status other than `active`; null while active. */
  readonly labelledAt: number | null
  /** Serial of the head's refresh token. */
  readonly head: number
  /** Serials kept beside it. */
  readonly siblings: readonly number[]
  /** Whether an intent still stands. */
  readonly unsettled: boolean
}

/** The slot of a node: lives of one slot share its wires and its disk. */
export function slotOf(node: string): string {
  return node.split('.')[0]!
}

export interface History {
  readonly grants: readonly GrantRecord[]
  readonly showings: readonly Showing[]
  readonly nodeFaults: readonly NodeFault[]
  readonly wireFaults: readonly WireFault[]
  readonly holdings: readonly Holding[]
  readonly endedAt: number
}
