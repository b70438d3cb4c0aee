/**
 * Owns the judgement of a history against the model: a linear chain of refresh tokens, each spent at most once (outside a recovery probe), the
 * last one recoverable. A probe is a showing after every earlier one ended so that nobody could know its outcome; that holds for a probe
 * whose own outcome is unknown, too. A pure function: the same history gives the same verdict. Refuses to believe what a node says of itself; it
 * compares the issuer's books with what the store holds, and excuses only what it was told was broken on purpose.
 */
import { slotOf } from './history.ts'
import type { GrantRecord, History, Holding, NodeFault, ProfileKind, Showing, WireFault } from './history.ts'

/**
 * - `fork`: two successors of one token were both spent.
 * - `double_spend`: a token was shown again although the outcome of an earlier showing could be known, or that showing was under way.
 * - `lost_successor`: an answer reached a healthy node whole, and the token in it is gone.
 * - `lost`: under none or grace a grant can't be refreshed any more; under strict, one that nothing excuses.
 * - `unlabelled`: a grant that can't be refreshed, whoever's fault that is, is called active.
 * - `late_label`: it was for too long.
 * - `unsettled`: an intent still stands when all is quiet.
 */
export type BreachKind = 'fork' | 'double_spend' | 'lost_successor' | 'lost' | 'unlabelled' | 'late_label' | 'unsettled'

export interface Breach {
  readonly kind: BreachKind
  readonly grant: string
  readonly profile: ProfileKind
  /** Requests that show it. */
  readonly requests: readonly number[]
  readonly says: string
}

/**
 * Why a grant was lost. `kill`: the node that made the call was killed with the call in flight. `answer`: the issuer spent the token and gave
 * nothing readable. `wire`: the answer broke on its way. `pause`: the node stood still. `ours`: none of these.
 */
export type LossCause = 'kill' | 'answer' | 'wire' | 'pause' | 'ours'

export interface Loss {
  readonly grant: string
  readonly profile: ProfileKind
  readonly cause: LossCause
  readonly at: number
  readonly labelledAfterMs: number | null
}

export interface Verdict {
  readonly breaches: readonly Breach[]
  readonly losses: readonly Loss[]
  /** Showings of a token that had been shown before with an outcome nobody could know. */
  readonly probes: number
  /** Those of them that were not the first probe of their token: its outcome was unknown as well. */
  readonly repeatedProbes: number
  /** Showings of a token that had been refused before: they harm nothing, and are not needed. */
  readonly repeatedRefusals: number
  /** Calls at the token endpoint under way, or just answered, when their node was killed. */
  readonly inFlightAtKills: number
  /** From an outcome that nobody could know to tokens or a refusal in hand, one per case, ascending, in milliseconds. */
  readonly recoveriesMs: readonly number[]
}

/** A loss has a label within this (DESIGN 1, G1). */
export const LABEL_LIMIT_MS = 60_000
/** An answer that left so shortly before its node was killed may not have been saved. */
const SAVING_MS = 1_000
/** What a node sent may arrive after its end; and it calls on the word of a lease that was proven shortly before. */
const REACHING_MS = 500
/** A caller may know that its connection is gone, and call again, before the issuer does. */
const CLOSING_MS = 1_000

/** The tolerances of a judgement, in milliseconds. */
interface Slack {
  readonly savingMs: number
  readonly reachingMs: number
  readonly closingMs: number
}

/**
 * @param slowness how much slower than a machine of its own this one may have been at any moment: tolerances are so many times as long. 1 for a
 *   proof; a test that must not fail for its machine's sake takes more, and sees less.
 */
export function checkHistory(history: History, slowness = 1): Verdict {
  const slack = { savingMs: SAVING_MS * slowness, reachingMs: REACHING_MS * slowness, closingMs: CLOSING_MS * slowness }
  const grants = history.grants.map((record) => new Case(record, history, slack))
  return {
    breaches: grants.flatMap((one) => one.breaches()),
    losses: grants.flatMap((one) => one.loss() ?? []),
    probes: grants.reduce((sum, one) => sum + one.probes(1).length, 0),
    repeatedProbes: grants.reduce((sum, one) => sum + one.probes(2).length, 0),
    repeatedRefusals: grants.reduce((sum, one) => sum + one.repeatedRefusals(), 0),
    inFlightAtKills: history.showings.filter((showing) => killed(showing, history, slack)).length,
    recoveriesMs: grants.flatMap((one) => one.recoveries()).toSorted((a, b) => a - b),
  }
}

/** One grant with all that belongs to it. */
class Case {
  readonly #grant: GrantRecord
  readonly #history: History
  readonly #showings: readonly Showing[]
  readonly #held: Holding | undefined

  readonly #slack: Slack

  constructor(grant: GrantRecord, history: History, slack: Slack) {
    this.#grant = grant
    this.#history = history
    this.#slack = slack
    this.#showings = history.showings.filter((showing) => showing.grant === grant.id).toSorted((a, b) => a.request - b.request)
    this.#held = history.holdings.find((holding) => holding.grant === grant.id)
  }

  breaches(): Breach[] {
    return [
      ...this.#forks(),
      ...this.#doubleSpends(),
      ...this.#lostSuccessors(),
      ...this.#unexcusedLoss(),
      ...this.#missingLabel(),
      ...(this.#held?.unsettled === true ? [this.#breach('unsettled', [], 'an intent stands when all is quiet')] : []),
    ]
  }

  #breach(kind: BreachKind, showings: readonly Showing[], says: string): Breach {
    return { kind, grant: this.#grant.id, profile: this.#grant.profile.kind, requests: showings.map(({ request }) => request), says }
  }

  #forks(): Breach[] {
    const spent = new Set(this.#showings.filter(({ outcome }) => outcome === 'rotated').map(({ token }) => token))
    return this.#byToken().flatMap((showings) => {
      const followed = [...new Set(showings.map(({ successor }) => successor))].filter((serial) => serial !== null && spent.has(serial))
      return followed.length < 2 || this.#grant.profile.kind === 'none'
        ? []
        : [this.#breach('fork', showings, `token ${showings[0]!.token} has the spent successors ${followed.join(' and ')}`)]
    })
  }

  #doubleSpends(): Breach[] {
    if (this.#grant.profile.kind === 'none') return []
    return this.#byToken().flatMap((showings) => {
      const spending = showings.filter((showing) => !knownUnspent(showing))
      return spending.slice(1).flatMap((later, before) => {
        const earlier = spending.slice(0, before + 1)
        const knowable = earlier.find(
          (showing) => showing.told !== 'refused' && !unknowable(showing, later, this.#history, this.#slack) && !this.#isRescue(later),
        )
        const says = `token ${later.token} was shown again, and how it had ended before was not unknown`
        return knowable === undefined ? [] : [this.#breach('double_spend', [knowable, later], says)]
      })
    })
  }

  /**
   * Under grace a spent token may be shown within its window when the one after it is refused: another successor had replaced that one, in an
   * answer that never came.
   */
  #isRescue(later: Showing): boolean {
    const { profile } = this.#grant
    if (profile.kind !== 'grace') return false
    return this.#showings.some(
      ({ token, told, delivered, doneAt }) =>
        token > later.token && told === 'refused' && delivered && doneAt! - this.#slack.closingMs <= later.arrivedAt,
    )
  }

  /** Showings from the `nth` repetition of a token on; none where tokens are not spent. */
  probes(nth: number): Showing[] {
    if (this.#grant.profile.kind === 'none') return []
    return this.#byToken().flatMap((showings) => showings.filter((showing) => !knownUnspent(showing)).slice(nth))
  }

  repeatedRefusals(): number {
    return this.#byToken().reduce((sum, showings) => sum + Math.max(0, showings.filter(({ told }) => told === 'refused').length - 1), 0)
  }

  #lostSuccessors(): Breach[] {
    return this.#showings
      .filter((showing) => showing.told === 'tokens' && showing.delivered && showing.successor !== null)
      .filter((showing) => !this.#seenAgain(showing.successor!) && !this.#replaced(showing) && this.#grant.ended?.by !== 'revoked')
      .filter((showing) => cause(showing, this.#history, this.#slack) === 'ours')
      .map((showing) => this.#breach('lost_successor', [showing], `token ${showing.successor} reached a healthy node and is gone`))
  }

  /** Whether the store holds it or it was shown: then it was saved. */
  #seenAgain(serial: number): boolean {
    return this.#holds(serial) || this.#showings.some(({ token }) => token === serial)
  }

  /** Whether the same token was shown later and gave something again: then what came first is not needed. */
  #replaced({ token, request }: Showing): boolean {
    return this.#showings.some((later) => later.token === token && later.request > request && later.successor !== null)
  }

  #holds(serial: number): boolean {
    return this.#held !== undefined && (this.#held.head === serial || this.#held.siblings.includes(serial))
  }

  loss(): Loss | undefined {
    const { ended, live, profile, id } = this.#grant
    if (ended?.by === 'revoked' || this.#held === undefined) return undefined
    if (this.#held.status === 'active' && live.some((serial) => this.#holds(serial))) return undefined
    const culprit = this.#culprit()
    const at = ended?.at ?? culprit?.doneAt ?? culprit?.arrivedAt ?? this.#grant.madeAt
    const labelledAfterMs = this.#held.labelledAt === null ? null : Math.max(0, this.#held.labelledAt - at)
    // What lives and is held was given up for nothing, whatever happened around it.
    const givenUp = live.some((serial) => this.#holds(serial))
    return {
      grant: id,
      profile: profile.kind,
      cause: givenUp || culprit === undefined ? 'ours' : cause(culprit, this.#history, this.#slack),
      at,
      labelledAfterMs,
    }
  }

  /** The showing whose answer was not kept: of the token that was shown again, or the last one whose successor nobody has. */
  #culprit(): Showing | undefined {
    const spending = this.#showings.filter(({ outcome }) => outcome === 'rotated' || outcome === 'again')
    const again = this.#grant.ended?.by === 'reuse' ? this.#showings.find(({ outcome }) => outcome === 'reuse') : undefined
    return spending.findLast(({ token, successor }) => (again === undefined ? !this.#seenAgain(successor!) : token === again.token))
  }

  #unexcusedLoss(): Breach[] {
    const loss = this.loss()
    if (loss === undefined || (loss.profile === 'strict' && loss.cause !== 'ours')) return []
    const says = `the grant is ${this.#held!.status} and can't be refreshed; its last spending ended by: ${loss.cause}`
    return [this.#breach('lost', this.#showings.slice(-4), says)]
  }

  #missingLabel(): Breach[] {
    const loss = this.loss()
    const { ended } = this.#grant
    const gone = loss ?? (ended?.by === 'revoked' && this.#held?.status === 'active' ? { labelledAfterMs: null } : undefined)
    if (gone === undefined) return []
    if (gone.labelledAfterMs === null) return [this.#breach('unlabelled', this.#showings.slice(-2), 'the grant is gone and called active')]
    return gone.labelledAfterMs <= LABEL_LIMIT_MS ? [] : [this.#breach('late_label', [], `labelled after ${gone.labelledAfterMs} ms`)]
  }

  recoveries(): number[] {
    return this.#byToken().flatMap((showings) => {
      const first = showings.find((showing) => !knownUnspent(showing))
      if (first === undefined || (first.delivered && first.told !== 'unclear')) return []
      const known = showings.find((showing) => showing.request > first.request && showing.delivered && showing.told !== 'unclear')
      return known === undefined ? [] : [Math.max(0, known.doneAt! - (first.doneAt ?? first.arrivedAt))]
    })
  }

  #byToken(): Showing[][] {
    return Object.values(Object.groupBy(this.#showings, ({ token }) => token)) as Showing[][]
  }
}

/** Whether its caller could read that the token was not spent: told so, or given an answer that leaves it in place. */
function knownUnspent({ told, outcome, delivered }: Showing): boolean {
  return delivered && (told === 'not_spent' || (told === 'tokens' && outcome === 'kept'))
}

/** Whether, when `later` arrived, nobody alive and undisturbed could know how `earlier` had ended. */
function unknowable(earlier: Showing, later: Showing, history: History, slack: Slack): boolean {
  const disturbed =
    history.nodeFaults.some(
      (fault) =>
        fault.kind !== 'clock' && fault.node === earlier.node && overlaps(fault, earlier.arrivedAt - slack.reachingMs, later.arrivedAt),
    ) || wireBroke(earlier, later.arrivedAt, history, slack)
  if (disturbed) return true
  const over = earlier.doneAt !== null && earlier.doneAt - slack.closingMs <= later.arrivedAt
  return over && (!earlier.delivered || earlier.told === 'unclear')
}

/** Why what `showing` gave may not have been kept. */
function cause(showing: Showing, history: History, slack: Slack): LossCause {
  if (killed(showing, history, slack)) return 'kill'
  if (showing.fault !== null && (showing.told === 'unclear' || !showing.delivered)) return 'answer'
  const until = savingUntil(showing, slack)
  // A store out of reach excuses nothing: whoever got the answer lives, and has it.
  if (wireBroke(showing, until, history, slack, 'issuer') || !showing.delivered) return 'wire'
  return history.nodeFaults.some(
    (fault) => fault.kind === 'pause' && fault.node === showing.node && overlaps(fault, showing.arrivedAt, until),
  )
    ? 'pause'
    : 'ours'
}

function wireBroke({ node, arrivedAt }: Showing, until: number, { wireFaults }: History, slack: Slack, to?: WireFault['to']): boolean {
  return wireFaults.some(
    (fault) =>
      fault.kind !== 'delay' &&
      // What is never needed excuses nothing.
      fault.to !== 'hint' &&
      fault.slot === slotOf(node) &&
      fault.to === (to ?? fault.to) &&
      overlaps(fault, arrivedAt - slack.reachingMs, until),
  )
}

function killed(showing: Showing, { nodeFaults }: History, slack: Slack): boolean {
  const [from, until] = [showing.arrivedAt - slack.reachingMs, savingUntil(showing, slack)]
  return nodeFaults.some(({ kind, node, at }) => kind === 'kill' && node === showing.node && at >= from && at <= until)
}

function savingUntil({ doneAt }: Showing, { savingMs }: Slack): number {
  return doneAt === null ? Number.POSITIVE_INFINITY : doneAt + savingMs
}

function overlaps(fault: Pick<NodeFault, 'at' | 'until'>, from: number, until: number): boolean {
  return fault.at <= until && (fault.until ?? fault.at) >= from
}
